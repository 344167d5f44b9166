"""OTLP in, over gRPC and HTTP. `config` the options, `receiver` the component, `ingest` bytes to
batch, `http` and `grpc` the two doors, `status` the one table of refusals."""

from genai_collector.receivers.otlp.config import OtlpConfig, OtlpGrpcConfig, OtlpHttpConfig
from genai_collector.receivers.otlp.receiver import FACTORY, OtlpReceiver

__all__ = ["FACTORY", "OtlpConfig", "OtlpGrpcConfig", "OtlpHttpConfig", "OtlpReceiver"]
