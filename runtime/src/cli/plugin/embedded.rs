//! Files that the program carries with it, listed by the build script.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
