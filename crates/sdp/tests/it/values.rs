//! The values of the lines of RFC 8866, and the attributes of telephony, RTSP and professional media.

mod field;
mod laws;
mod refusals;
