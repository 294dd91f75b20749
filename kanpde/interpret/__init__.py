"""What a trained network says: closed formulas read off its edges, and their check."""
