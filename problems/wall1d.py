"""Heat equation of a brick wall between a room and the weather of a day, which a table gives.

In SI units, temperatures in °C. Heat passes to the air on both sides in proportion to the
difference of temperatures. The outdoor temperature is measured every hour; between the hours it is
a cubic spline.
"""

from kanpde import Box, Initial, Problem, Robin, Table, Time, d

conductivity = 0.8
capacity = 1.5e6
indoors = 20
outside = 25
inside = 8

HOUR = 3600.0
WIDTH = 0.3
DEGREES = [3.1, 2.6, 2.2, 1.9, 1.5, 1.2, 1.4, 2.8, 4.9, 7.3, 9.6, 11.4, 12.5]
DEGREES += [13.1, 13.3, 12.9, 11.8, 10.1, 8.6, 7.4, 6.3, 5.5, 4.7, 4.0, 3.4]
weather = Table({"hour": list(range(25)), "degrees": DEGREES}, x="hour", y="degrees")


FLUX = (indoors - DEGREES[0]) / (1 / outside + WIDTH / conductivity + 1 / inside)


def start(x):
    """What has come to rest before the day begins."""
    return DEGREES[0] + FLUX * (1 / outside + x / conductivity)


def outdoors(t):
    return outside * weather(t / HOUR)


def heat(T, x, t):
    return capacity * d(T, t) - conductivity * d(T, x, x)


problem = Problem(
    domain=Box(x=(0, WIDTH)) * Time(t=(0, 24 * HOUR)),
    equations=[heat],
    conditions=[
        Robin(T=outdoors, a=outside, b=conductivity, on="x-"),
        Robin(T=inside * indoors, a=inside, b=conductivity, on="x+"),
        Initial(T=start),
    ],
)
