"""Performance as ratios within one run; `make bench`. A measurement is a function `measure() -> Measurement`."""
