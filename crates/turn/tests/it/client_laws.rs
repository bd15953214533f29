//! The laws of the client under random inputs.
