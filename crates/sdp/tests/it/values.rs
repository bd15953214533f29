//! Tests of the values of RFC 8866 lines, and of attributes of telephony, RTSP and professional media.

mod field;
mod laws;
mod refusals;
