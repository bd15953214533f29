//! Benchmarks of portolan; see `docs/` for how figures are taken.
