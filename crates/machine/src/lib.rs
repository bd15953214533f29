//! The driving contract of portolan's sans-IO machines: one trait, a dozen words, no dependencies.
