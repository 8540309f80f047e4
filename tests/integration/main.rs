//! Everything that crosses a door: HTTP, the command line, the sandbox's edge, the SDK's promises, the house's rules.

mod tidy;
