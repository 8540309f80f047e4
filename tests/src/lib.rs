//! What the tests that cross a door have in common: a portal as a real process, its clients, the packages that it is
//! given, and the checks of the house itself.

pub mod tidy;
