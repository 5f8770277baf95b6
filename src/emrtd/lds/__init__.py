"""The files of the logical data structure, each as a frozen value (ICAO 9303-10)."""
