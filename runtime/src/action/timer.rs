//! Runs that go on by themselves: after the pause between attempts, and after a sleep.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::Actions;
use super::worker::Phase;
use crate::model::{RunCause, RunMove, Timestamp};
use crate::store;

/// Runs that go on together.
const BATCH: usize = 200;

/// The longest time between two looks at the clock: it may have been set in between.
const LOOK: Duration = Duration::from_secs(5);

impl Actions {
    /// Lets runs go on when their time has come, until the engine stops.
    pub(super) async fn keep_time(self) {
        let mut phase = self.inner.phase.subscribe();
        loop {
            let pause = match self.wake_due().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "runs whose time has come could not be moved; trying again"
                    );
                    LOOK
                }
            };
            tokio::select! {
                stopping = timeout(pause, phase.wait_for(|phase| *phase == Phase::Stopping)) => {
                    if stopping.is_ok() {
                        return;
                    }
                }
                () = self.inner.due.notified() => {}
            }
        }
    }

    /// Moves those whose time has come. How long to wait before the next look.
    async fn wake_due(&self) -> Result<Duration, store::Error> {
        let now = Timestamp::now();
        let due = self
            .inner
            .store
            .read(move |tx| tx.list_due(now, BATCH))
            .await?;
        // Together, so that they share a commit.
        let woken = due
            .iter()
            .map(|run| self.move_run(None, &run.id, RunMove::by(RunCause::Wake), None));
        let mut is_any = false;
        for moved in join_all(woken).await {
            is_any |= moved?.is_some();
        }
        if is_any {
            return Ok(Duration::ZERO);
        }
        let next = self.inner.store.read(|tx| tx.find_next_due()).await?;
        let millis = next.map(|next| next.0.saturating_sub(now.0));
        let millis = millis.and_then(|millis| u64::try_from(millis).ok());
        Ok(millis.map_or(LOOK, |millis| {
            Duration::from_millis(millis).clamp(MIN, LOOK)
        }))
    }
}

/// The shortest time between two looks: due times are whole milliseconds.
const MIN: Duration = Duration::from_millis(1);
