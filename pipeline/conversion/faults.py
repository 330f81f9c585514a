"""What cannot be converted, or is not the same afterwards."""

from pipeline.errors import PipelineError


class ExportError(PipelineError):
    """A model cannot be converted, or what came out does not answer as the model does."""
