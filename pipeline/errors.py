"""The errors that a user can cause or fix. The command line prints each in one line and exits with code 2.

PipelineError
├── ConfigError      params.yaml is wrong, or the project cannot be found
├── SourceError      the images cannot be used
│   ├── ImageError   one image cannot be used; the others can
│   └── UnreachableSourceError   its server does not answer now
├── DeviceError      the asked-for device or precision is not there
├── FitError         fitting went wrong: diverged, out of memory
├── WeightsError     pretrained weights cannot be had
├── StageError       a stage failed; its own message is the text
│   └── PassingError   of a cause that may pass
├── BusyError        somebody else holds a lock
├── StorageError     the disk is full or not writable
└── TrackingError    MLflow's store cannot be reached or used
    ├── UnreachableError   its server does not answer now
    └── ModelError         a model in it does not load or answer

A message says what was expected, what was received, where, and what to do. Any other exception is a bug: it keeps its traceback.
"""

import errno

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
"""The numbers of the system's errors for a disk or a quota that is full."""


class PipelineError(Exception):
    """Base of all errors that end in one clear line."""

    may_pass = False
    """Whether the same may work a little later with nothing changed: a lock is held, or a server does not answer now."""


class ConfigError(PipelineError):
    """Parameters are unknown, missing or out of range, or the project cannot be found."""


class SourceError(PipelineError):
    """The source of images is missing, empty or unusable."""


class ImageError(SourceError):
    """One image cannot be used. `finding` names the kind of fault, as in LeftOut."""

    def __init__(self, reason: str, finding: str = "undecodable") -> None:
        super().__init__(reason)
        self.finding = finding


class UnreachableSourceError(SourceError):
    """What is at the URL of a source cannot be read now."""

    may_pass = True


class DeviceError(PipelineError):
    """The device or precision asked for is not available."""


class FitError(PipelineError):
    """A fit diverged or ran out of memory."""


class WeightsError(PipelineError):
    """Pretrained weights are not there, cannot be downloaded, or are not what they should be; or nothing here can compute with them."""


class StageError(PipelineError):
    """A stage ended with an error; the text is the stage's own message."""


class PassingError(StageError):
    """A stage ended with an error that may pass."""

    may_pass = True


class BusyError(PipelineError):
    """A lock is held by another process."""

    may_pass = True


class StorageError(PipelineError):
    """A file could not be written."""


class TrackingError(PipelineError):
    """The MLflow store cannot be reached or used."""


class ModelError(TrackingError):
    """A model in the MLflow store does not load, or does not answer as it did. The store itself works."""


class UnreachableError(TrackingError):
    """The MLflow store does not answer now, or answers that it cannot."""

    may_pass = True
