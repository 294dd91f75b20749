"""Runs in the formats of other tools: fields for ParaView and tables, the solution as a function
for torch and ONNX."""

from kanpde.exports.export import FORMATS as FORMATS
from kanpde.exports.export import export as export
