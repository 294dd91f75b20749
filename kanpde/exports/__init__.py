"""Runs in the formats of other tools: fields for ParaView and tables, the solution as a function for torch and ONNX."""

from kanpde.export.export import FORMATS as FORMATS
from kanpde.export.export import export as export
