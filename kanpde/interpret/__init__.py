"""What a trained network says: closed formulas read off its values and edges, and their check."""

from kanpde.interpret.explained import Explanation as Explanation
from kanpde.interpret.formulas import explain as explain
from kanpde.interpret.formulas import explain_fit as explain_fit
from kanpde.interpret.formulas import explain_function as explain_function
from kanpde.interpret.formulas import explain_values as explain_values
from kanpde.interpret.library import register as register
from kanpde.interpret.library import unregister as unregister
