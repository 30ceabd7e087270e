//! Nothing is here: what is to be copied and changed is the test in `tests/`. README.md says how.
