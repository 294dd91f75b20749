"""Colours that are safe for the colour-blind: Okabe and Ito's palette (2008) for lines."""

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"
