//! How many requests are on their way at a time: of one guest, of all guests of one plugin, and of the whole portal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::model::PluginName;
use crate::plugin::EgressSettings;

/// Requests of one guest at a time: `send_all` overlaps a handful, not a flood.
const OF_A_GUEST: usize = 16;

/// Those of one plugin, and of all of them, where the operator does not say.
pub(super) const OF_A_PLUGIN: usize = 64;
pub(super) const OF_THE_PORTAL: usize = 256;

/// How long a request waits for its places. A guest that never takes in its answers waits for itself.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The places of the portal, and of the plugins whose guests are there.
#[derive(Debug)]
pub(super) struct PortalPlaces {
    all: Arc<Semaphore>,
    each: usize,
    /// By name: two versions of a plugin are one guest of the house. None is kept longer than its last guest.
    plugins: Mutex<HashMap<PluginName, Weak<Semaphore>>>,
}

impl PortalPlaces {
    /// As the operator says. A number that no semaphore counts to is one that never fills.
    pub(super) fn new(settings: &EgressSettings) -> Self {
        let count = |set: Option<usize>, default: usize| {
            set.unwrap_or(default).clamp(1, Semaphore::MAX_PERMITS)
        };
        Self {
            all: Arc::new(Semaphore::new(count(settings.requests, OF_THE_PORTAL))),
            each: count(settings.plugin_requests, OF_A_PLUGIN),
            plugins: Mutex::default(),
        }
    }

    /// Those that one more guest of a plugin has to do with.
    pub(super) fn of_guest(&self, plugin: &PluginName) -> Places {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let known = plugins.get(plugin).and_then(Weak::upgrade);
        let share = known.unwrap_or_else(|| {
            plugins.retain(|_, share| share.strong_count() > 0);
            let share = Arc::new(Semaphore::new(self.each));
            plugins.insert(plugin.clone(), Arc::downgrade(&share));
            share
        });
        Places {
            guest: Arc::new(Semaphore::new(OF_A_GUEST)),
            plugin: share,
            portal: Arc::clone(&self.all),
        }
    }
}

/// The places that a guest's requests take.
#[derive(Clone, Debug)]
pub(super) struct Places {
    guest: Arc<Semaphore>,
    plugin: Arc<Semaphore>,
    portal: Arc<Semaphore>,
}

/// The places that one request has, until its answer was taken in.
#[derive(Debug)]
pub(super) struct Place {
    _held: [OwnedSemaphorePermit; 3],
}

/// Whose places are all taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Guest,
    Plugin,
    Portal,
}

impl Full {
    /// What to do about it, for whoever reads the log of the run.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Guest => {
                "a request waited in vain for a place among those that one call may have on their way: take in answers \
                 before you send more"
            }
            Self::Plugin => {
                "a request waited in vain for a place among those of its plugin, whose runs have as many on their way as the \
                 setting `egress-plugin-requests` allows"
            }
            Self::Portal => {
                "a request waited in vain for a place among those of the portal, whose plugins have as many on their way as the \
                 setting `egress-requests` allows"
            }
        }
    }
}

impl Places {
    /// Takes all three, or says whose there was none of in that time. The widest one is asked for last: a plugin that
    /// waits for itself takes nothing from the others.
    pub(super) async fn take(&self, time: Duration) -> Result<Place, Full> {
        let until = Instant::now() + time.min(LONGEST_WAIT);
        let take = async |of: &Arc<Semaphore>, full| {
            let taken = timeout_at(until, Arc::clone(of).acquire_owned()).await;
            taken.ok().and_then(Result::ok).ok_or(full)
        };
        let guest = take(&self.guest, Full::Guest).await?;
        let plugin = take(&self.plugin, Full::Plugin).await?;
        let portal = take(&self.portal, Full::Portal).await?;
        Ok(Place {
            _held: [guest, plugin, portal],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(of_the_portal: usize, of_a_plugin: usize) -> PortalPlaces {
        PortalPlaces::new(&EgressSettings {
            requests: Some(of_the_portal),
            plugin_requests: Some(of_a_plugin),
            ..EgressSettings::default()
        })
    }

    fn guest(portal: &PortalPlaces, plugin: &str) -> Places {
        portal.of_guest(&PluginName::parse(plugin).unwrap())
    }

    /// Whose places are taken; nobody waits for one that is not there now.
    async fn take(places: &Places) -> Result<Place, Full> {
        places.take(Duration::ZERO).await
    }

    #[tokio::test]
    async fn a_plugin_that_hoards_places_takes_none_from_the_others() {
        let portal = places(3, 2);
        let (one, again) = (guest(&portal, "hoarder"), guest(&portal, "hoarder"));
        let held = (take(&one).await.unwrap(), take(&again).await.unwrap());
        assert_eq!(take(&one).await.unwrap_err(), Full::Plugin);
        assert_eq!(take(&again).await.unwrap_err(), Full::Plugin);
        let other = guest(&portal, "other");
        let of_other = take(&other).await.unwrap();
        assert_eq!(take(&other).await.unwrap_err(), Full::Portal);
        drop(held);
        drop((of_other, take(&one).await.unwrap()));
    }

    #[tokio::test]
    async fn a_guest_has_fewer_places_than_its_plugin() {
        let portal = places(100, 100);
        let one = guest(&portal, "demo");
        let mut held = Vec::new();
        for _ in 0..OF_A_GUEST {
            held.push(take(&one).await.unwrap());
        }
        assert_eq!(take(&one).await.unwrap_err(), Full::Guest);
        take(&guest(&portal, "demo")).await.unwrap();
    }

    #[tokio::test]
    async fn who_waited_in_vain_holds_nothing_of_what_was_free() {
        let portal = places(1, 2);
        let held = take(&guest(&portal, "demo")).await.unwrap();
        let waiting = guest(&portal, "other");
        for _ in 0..OF_A_GUEST + 1 {
            assert_eq!(take(&waiting).await.unwrap_err(), Full::Portal);
        }
        drop(held);
        take(&waiting).await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_kept_of_plugins_that_are_gone() {
        let portal = places(9, 9);
        for number in 0..100 {
            drop(guest(&portal, &format!("demo-{number}")));
        }
        assert_eq!(portal.plugins.lock().unwrap().len(), 1);
    }
}
