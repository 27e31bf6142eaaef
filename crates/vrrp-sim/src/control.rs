//! What is done to the nodes of a [`World`] from outside.

use vrrp_core::settings::Instance;
use vrrp_core::{Event, Health, VirtualRouter};

use crate::World;
use crate::node::{Run, new_group};
use crate::settings::source;

impl World {
    /// Starts the daemon of `index` if there is none.
    pub(crate) fn start(&mut self, index: usize) {
        let Some(node) = self
            .nodes
            .get_mut(index)
            .filter(|node| node.run == Run::Gone)
        else {
            return;
        };
        for seat in &mut node.seats {
            seat.router = Some(VirtualRouter::new(seat.settings.clone()));
        }
        node.group = node.group.take().map(|_| new_group());
        node.run = Run::Running;
        node.idle_since = None;
        node.resumed = None;
        let (up, scripts) = (node.link_up, node.scripts.clone());
        self.note(index, "starts");
        self.tell_all(index, &if up { Event::LinkUp } else { Event::LinkDown });
        self.tell_all(index, &Event::Source(Some(source(index))));
        self.tell_all(index, &Event::Start);
        for (number, health) in scripts.into_iter().enumerate() {
            self.tell_all(
                index,
                &Event::Script {
                    index: number,
                    health,
                },
            );
        }
    }

    /// SIGTERM.
    pub(crate) fn stop(&mut self, index: usize) {
        self.note(index, "SIGTERM");
        if self
            .nodes
            .get(index)
            .is_some_and(|node| node.run == Run::Running)
        {
            self.tell_all(index, &Event::Stop);
        }
        self.kill(index);
    }

    /// SIGKILL: what the kernel holds stays.
    pub(crate) fn kill(&mut self, index: usize) {
        self.note(index, "is gone");
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(index) {
            for seat in &mut node.seats {
                seat.router = None;
                seat.age += 1;
            }
            node.run = Run::Gone;
            node.waiting.clear();
            node.idle_since.get_or_insert(now);
        }
    }

    /// SIGSTOP.
    pub(crate) fn pause(&mut self, index: usize) {
        let now = self.now;
        if let Some(node) = self
            .nodes
            .get_mut(index)
            .filter(|node| node.run == Run::Running)
        {
            node.run = Run::Paused;
            for seat in &mut node.seats {
                seat.age += 1;
            }
            node.idle_since = Some(now);
            self.note(index, "SIGSTOP");
        }
    }

    /// SIGCONT. Packets come before the timer, as a driver should do it, or
    /// after it, which must do no harm either.
    pub(crate) fn resume(&mut self, index: usize) {
        let now = self.now;
        let timer_first = self.random.bool();
        let Some(node) = self
            .nodes
            .get_mut(index)
            .filter(|node| node.run == Run::Paused)
        else {
            return;
        };
        node.run = Run::Running;
        node.idle_since = None;
        node.resumed = Some(now);
        let waiting = std::mem::take(&mut node.waiting);
        self.note(index, "SIGCONT");
        if timer_first {
            self.tell_all(index, &Event::Timer);
        }
        for (seat, event) in waiting {
            // The driver looks again before it believes that an address is gone.
            let stale = matches!(
                event,
                Event::AddressRemoved(address)
                    if self.nodes.get(index).is_some_and(|node| node.kernel.holds(address))
            );
            if !stale {
                self.tell_now(index, seat, event);
            }
        }
        self.tell_all(index, &Event::Timer);
    }

    pub(crate) fn set_link(&mut self, index: usize, up: bool) {
        let Some(node) = self.nodes.get_mut(index).filter(|node| node.link_up != up) else {
            return;
        };
        node.link_up = up;
        self.note(index, if up { "link up" } else { "link down" });
        self.tell_all(index, &if up { Event::LinkUp } else { Event::LinkDown });
    }

    pub(crate) fn set_script(&mut self, index: usize, number: usize, health: Health) {
        let script = self
            .nodes
            .get_mut(index)
            .and_then(|node| node.scripts.get_mut(number));
        let Some(script) = script.filter(|script| **script != health) else {
            return;
        };
        *script = health;
        self.note(index, &format!("script {number} {health:?}"));
        self.tell_all(
            index,
            &Event::Script {
                index: number,
                health,
            },
        );
    }

    /// Somebody removes the first address of a router by hand.
    pub(crate) fn remove_address(&mut self, index: usize, seat: usize) {
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        let address = node
            .seats
            .get(seat)
            .and_then(|seat| seat.addresses().next())
            .filter(|address| node.kernel.holds(*address));
        if let Some(address) = address {
            node.kernel.remove(address);
            self.note(index, &format!("{address} removed by hand"));
            self.removed(index, address);
        }
    }

    /// New settings for one router. A daemon that is gone reads them when it
    /// starts.
    pub(crate) fn reload(&mut self, index: usize, seat: usize, settings: Instance) {
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        // A daemon that does not run still has what it set under its old settings.
        if let Some(seat) = node.seats.get_mut(seat) {
            seat.settings = settings.clone();
        }
        let text = format!(
            "router{seat} reload, priority {}, {} addresses",
            settings.priority,
            settings.addresses.len()
        );
        self.note(index, &text);
        self.tell(index, seat, Event::Reload(Box::new(settings)));
    }
}
