//! jq, in worker processes of its own: a filter can neither hang nor crash nor read the portal.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// Evaluates jq filters. Clones share the workers.
#[derive(Clone, Debug)]
pub struct Jq {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Jq {
    /// Uses workers that are started with a program and arguments; none is started before there is work for it.
    pub fn new(program: PathBuf, arguments: Vec<OsString>) -> Self {
        Self {
            inner: Arc::new(Inner { program, arguments }),
        }
    }
}
