//! The composition root: puts the floors together.

mod access;

pub use access::{Access, AccessError, AccessToken, NewPrincipal};

use crate::action::Actions;
use crate::catalog::Catalog;
use crate::plugin::PluginHost;

/// The whole portal, as the doors see it. Clones share it.
#[derive(Clone, Debug)]
pub struct App {
    pub access: Access,
    pub catalog: Catalog,
    pub plugins: PluginHost,
    pub actions: Actions,
}
