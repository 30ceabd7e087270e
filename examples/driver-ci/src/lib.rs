//! Nothing is here: the test in `tests/` is what to copy, with the path of your driver in it.
#![forbid(unsafe_code)]
