"""The Langfuse batch format."""
