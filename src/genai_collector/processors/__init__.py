"""Rooms on the way: one processor per file; files that begin with `_` are shared by several."""
