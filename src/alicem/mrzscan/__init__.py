"""The machine-readable zone of a document from pictures of it. Nothing here writes, logs, or keeps."""

from alicem.mrzscan.reading import FRAMES_MAX, Flaw, Reading, Vote, read

__all__ = ["FRAMES_MAX", "Flaw", "Reading", "Vote", "read"]
