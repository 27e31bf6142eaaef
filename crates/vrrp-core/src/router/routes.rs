//! Virtual routes and rules: in force while MASTER, behind the addresses they
//! may need. What they are the driver knows.

use super::VirtualRouter;
use super::transition::Farewell;
use crate::action::Action;
use crate::log::InstanceLine;
use crate::settings::Configured;

impl VirtualRouter {
    /// Routes, then the rules that may lead to them.
    pub(super) fn set_routes(&mut self) {
        if self.settings.routes == Configured::Yes {
            self.log(InstanceLine::SettingRoutes);
        }
        if self.settings.rules == Configured::Yes {
            self.log(InstanceLine::SettingRules);
        }
        if self.has_routes() {
            self.act(Action::SetRoutes);
        }
    }

    /// The other way round, and before the addresses go: the kernel would drop
    /// routes that use them, and somebody would take that for an attack.
    pub(super) fn remove_routes(&mut self) {
        if self.settings.rules == Configured::Yes {
            self.log(InstanceLine::RemovingRules);
        }
        if self.settings.routes == Configured::Yes {
            self.log(InstanceLine::RemovingRoutes);
        }
        if self.has_routes() {
            self.act(Action::RemoveRoutes);
        }
    }

    fn has_routes(&self) -> bool {
        (self.settings.routes, self.settings.rules) != (Configured::No, Configured::No)
    }

    /// A route or a rule is gone and we did not remove it. As with an address
    /// the router steps back for one skew.
    pub(super) fn route_removed(&mut self) {
        if !self.has_routes() {
            return;
        }
        if self.lease_has_expired() {
            // It went with the addresses: we slept.
            self.listen_first();
            return;
        }
        self.step_down(self.skew(), Farewell::PriorityZero);
    }
}
