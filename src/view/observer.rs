//! The trait of all views, and views that are made of others.

use std::io;

use crate::base::FrameStamp;
use crate::event::{Event, LimitReached, Needs, Totals};

/// An observer of a run that writes what it shows.
///
/// The pipeline calls [`View::needs`] once, then [`View::frame`] and [`View::event`] in the
/// order of the capture, and [`View::finish`] once at the end.
pub trait View {
    /// Returns what the view needs beyond packets, gaps and connections: asked once, before
    /// the run. The default needs nothing more.
    fn needs(&self) -> Needs {
        Needs::default()
    }
    /// Returns whether a connection that the capture holds twice is shown once.
    fn counts_once(&self) -> bool {
        false
    }
    /// Receives the stamp of a frame, whatever it carries: of the first frame of the run that
    /// has a time, and of every frame where [`Needs::frames`] asks for it.
    fn frame(&mut self, _stamp: &FrameStamp) {}
    /// Receives one event.
    ///
    /// # Errors
    /// The writer's error, which ends the run; a closed pipe is one.
    fn event(&mut self, event: &Event<'_>) -> io::Result<()>;
    /// Receives an event that the user's selection leaves out: nothing of it is shown, but a view
    /// that follows connections learns from it.
    ///
    /// # Errors
    /// As for [`View::event`].
    fn left_out(&mut self, _event: &Event<'_>) -> io::Result<()> {
        Ok(())
    }
    /// Writes what is held back only for speed: the input has nothing more just now (a pipe, a
    /// live capture).
    ///
    /// # Errors
    /// The writer's error.
    fn idle(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// Returns the limits of the view's own that were reached so far, for the totals.
    fn limits_reached(&self) -> Vec<LimitReached> {
        Vec::new()
    }
    /// Writes what was held back, and flushes: the run is over.
    ///
    /// # Errors
    /// The writer's error.
    fn finish(&mut self, totals: &Totals) -> io::Result<()>;
}

/// Forwards a view's methods through a pointer to it.
macro_rules! view_by_pointer {
    ($($pointer:ty),*) => {$(
        impl<V: View + ?Sized> View for $pointer {
            fn frame(&mut self, stamp: &FrameStamp) {
                (**self).frame(stamp);
            }
            fn needs(&self) -> Needs {
                (**self).needs()
            }
            fn counts_once(&self) -> bool {
                (**self).counts_once()
            }
            fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
                (**self).event(event)
            }
            fn left_out(&mut self, event: &Event<'_>) -> io::Result<()> {
                (**self).left_out(event)
            }
            fn idle(&mut self) -> io::Result<()> {
                (**self).idle()
            }
            fn limits_reached(&self) -> Vec<LimitReached> {
                (**self).limits_reached()
            }
            fn finish(&mut self, totals: &Totals) -> io::Result<()> {
                (**self).finish(totals)
            }
        }
    )*};
}

view_by_pointer!(Box<V>, &mut V);

/// Two views of one run: both receive everything, the first one first.
pub struct Tee<A, B>(pub A, pub B);

impl<A: View, B: View> View for Tee<A, B> {
    fn frame(&mut self, stamp: &FrameStamp) {
        self.0.frame(stamp);
        self.1.frame(stamp);
    }
    fn needs(&self) -> Needs {
        self.0.needs().and(self.1.needs())
    }
    fn counts_once(&self) -> bool {
        self.0.counts_once() || self.1.counts_once()
    }
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.0.event(event)?;
        self.1.event(event)
    }
    fn left_out(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.0.left_out(event)?;
        self.1.left_out(event)
    }
    fn idle(&mut self) -> io::Result<()> {
        self.0.idle()?;
        self.1.idle()
    }
    fn limits_reached(&self) -> Vec<LimitReached> {
        [self.0.limits_reached(), self.1.limits_reached()].concat()
    }
    fn finish(&mut self, totals: &Totals) -> io::Result<()> {
        self.0.finish(totals)?;
        self.1.finish(totals)
    }
}
