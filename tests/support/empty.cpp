// Nothing: the header under check comes by -include.
