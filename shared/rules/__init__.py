"""Pure rules that two services need: no I/O, no SQL, no clock of their own, no log."""
