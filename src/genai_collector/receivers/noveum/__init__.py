"""Noveum in: its gateway's log records and its SDK's traces. `config` the options, `receiver` the
component, `access` who may send, `sent_before` what came already, `answers` what clients hear."""

from genai_collector.receivers.noveum.config import ElasticsearchConfig, NoveumReceiverConfig
from genai_collector.receivers.noveum.receiver import FACTORY, NoveumReceiver

__all__ = ["FACTORY", "ElasticsearchConfig", "NoveumReceiver", "NoveumReceiverConfig"]
