"""How a problem is solved where the user does not say: recipes, the pace of evolutions, what fits
into memory."""
