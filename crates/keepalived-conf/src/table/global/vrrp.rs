//! Defaults for every instance.

use std::net::IpAddr;

use vrrp_core::time::Duration;

use crate::number::{seconds, signed, unsigned};
use crate::pass::Pass;
use crate::text::Line;

use super::super::{Handled, instance};
use super::other::switch;

/// The most that 32 bits of microseconds hold.
const MAX_MICROS: u64 = 4_294_967_295;

pub(super) fn version(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(signed(&text, 2, 3)) {
        Some(version) => pass.draft.vrrp.version = u32::try_from(version).unwrap_or(2),
        None => pass.complain("VRRP Error: Version must be either 2 or 3"),
    }
    Ok(())
}

pub(super) fn strict(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.vrrp.strict = true;
    Ok(())
}

pub(super) fn check_unicast_src(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.vrrp.check_unicast_source = true;
    Ok(())
}

pub(super) fn skip_check(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.vrrp.skip_check_addresses = true;
    Ok(())
}

pub(super) fn checksum_as_v2(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(pass, line, "Invalid value for v3_checksum_as_v2 specified") {
        pass.draft.vrrp.checksum_as_v2 = value;
    }
    Ok(())
}

pub(super) fn lower_no_advert(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(
        pass,
        line,
        "Invalid value for vrrp_lower_prio_no_advert specified",
    ) {
        pass.draft.vrrp.lower_no_advert = value;
    }
    Ok(())
}

pub(super) fn higher_send_advert(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(
        pass,
        line,
        "Invalid value for vrrp_higher_prio_send_advert specified",
    ) {
        pass.draft.vrrp.higher_send_advert = Some(value);
    }
    Ok(())
}

pub(super) fn down_timer_adverts(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 1, 100)) {
        Some(count) => pass.draft.vrrp.down_timer_adverts = u8::try_from(count).unwrap_or(3),
        None => pass.complain(format!("Invalid vrrp_down_timer_adverts [1:100] '{text}'")),
    }
    Ok(())
}

pub(super) fn group4(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match text.parse::<IpAddr>() {
        Err(_) => pass.complain(format!("Can't parse vrrp_mcast_group4 [{text}]. Skipping")),
        Ok(IpAddr::V6(_)) => {
            pass.complain(format!("vrrp_mcast_group4 [{text}] is not IPv4. Skipping"))
        }
        Ok(group) if !group.is_multicast() => {
            pass.complain(format!(
                "vrrp_mcast_group4 [{text}] is not multicast. Skipping"
            ));
        }
        Ok(group) => pass.draft.vrrp.group4 = Some(group),
    }
    Ok(())
}

pub(super) fn group6(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match text.parse::<IpAddr>() {
        Err(_) => pass.complain(format!("Can't parse vrrp_mcast_group6 [{text}]. Skipping")),
        Ok(IpAddr::V4(_)) => {
            pass.complain(format!("vrrp_mcast_group6 [{text}] is not IPv6. Skipping"))
        }
        Ok(group) if !group.is_multicast() => {
            pass.complain(format!(
                "vrrp_mcast_group6 [{text}] is not multicast. Skipping"
            ));
        }
        Ok(group) => pass.draft.vrrp.group6 = Some(group),
    }
    Ok(())
}

pub(super) fn garp_delay(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, instance::LONGEST_DELAY)) {
        Some(value) => pass.draft.vrrp.garp.delay = Some(value),
        None => pass.complain(format!(
            "vrrp_garp_master_delay '{text}' invalid - ignoring"
        )),
    }
    Ok(())
}

pub(super) fn garp_repeat(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, u32::MAX)) {
        Some(value) => {
            if value == 0 {
                pass.complain("vrrp_garp_master_repeat must be greater than 0, setting to 1");
            }
            pass.draft.vrrp.garp.repeat = Some(value.max(1));
        }
        None => pass.complain(format!(
            "vrrp_garp_master_repeat '{text}' invalid - ignoring"
        )),
    }
    Ok(())
}

pub(super) fn garp_refresh(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, u32::MAX)) {
        Some(value) => pass.draft.vrrp.garp.refresh = Some(value),
        None => {
            pass.complain(format!(
                "Invalid vrrp_garp_master_refresh '{text}' - ignoring"
            ));
            pass.draft.vrrp.garp.refresh = Some(0);
        }
    }
    Ok(())
}

pub(super) fn garp_refresh_repeat(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, u32::MAX)) {
        Some(value) => {
            if value == 0 {
                pass.complain(
                    "vrrp_garp_master_refresh_repeat must be greater than 0, setting to 1",
                );
            }
            pass.draft.vrrp.garp.refresh_repeat = Some(value.max(1));
        }
        None => pass.complain(format!(
            "vrrp_garp_master_refresh_repeat '{text}' invalid - ignoring"
        )),
    }
    Ok(())
}

pub(super) fn garp_lower_delay(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, instance::LONGEST_DELAY)) {
        Some(value) => pass.draft.vrrp.garp.lower_delay = Some(value),
        None => pass.complain(format!(
            "vrrp_garp_lower_prio_delay '{text}' invalid - ignoring"
        )),
    }
    Ok(())
}

pub(super) fn garp_lower_repeat(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, u32::MAX)) {
        Some(value) => pass.draft.vrrp.garp.lower_repeat = Some(value),
        None => pass.complain(format!("Invalid vrrp_garp_lower_prio_repeat '{text}'")),
    }
    Ok(())
}

pub(super) fn interval(
    pass: &mut Pass<'_>,
    line: &Line,
    keyword: &str,
) -> Result<Option<u64>, crate::pass::Fatal> {
    let text = pass.text(line, 1)?;
    let read = pass.loose_decimals(seconds(&text, 1, MAX_MICROS));
    match read {
        None => pass.complain(format!("{keyword} '{text}' is invalid")),
        Some(micros) if micros >= 1_000_000 => {
            pass.log(format!("The {keyword} is very large - {text} seconds"));
        }
        Some(_) => {}
    }
    Ok(read)
}

pub(super) fn vmac_prefix(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    // Together with the virtual router id it has to be the name of an interface.
    if text.len() + ".255".len() < instance::MAX_INTERFACE {
        pass.draft.vrrp.vmac_prefix = Some(text);
    }
    Ok(())
}

pub(super) fn vmac_addr_prefix(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if text.len() + ".255".len() < instance::MAX_INTERFACE {
        pass.draft.vrrp.vmac_addr_prefix = Some(text);
    }
    Ok(())
}

pub(super) fn garp_interval(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(micros) = interval(pass, line, "vrrp_garp_interval")? {
        pass.draft.vrrp.garp_interval = micros;
    }
    Ok(())
}

pub(super) fn gna_interval(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(micros) = interval(pass, line, "vrrp_gna_interval")? {
        pass.draft.vrrp.gna_interval = micros;
        pass.draft.global.gna_interval = Duration::from_micros(micros);
    }
    Ok(())
}

pub(super) fn min_garp(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(true) = switch(pass, line, "Invalid value for vrrp_min_garp specified") {
        pass.draft.vrrp.garp.repeat = Some(1);
        pass.draft.vrrp.garp.delay = Some(0);
    }
    Ok(())
}

pub(super) fn garp_extra_if(pass: &mut Pass<'_>, line: &Line) -> Handled {
    instance::extra_interfaces(pass, line, "", 1)
}

pub(super) fn vmac_garp_interval(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.complain(
        "Keyword \"vrrp_vmac_garp_intvl\" is deprecated - please use \"vrrp_garp_extra_if\"",
    );
    garp_extra_if(pass, line)
}

pub(super) fn startup_delay(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.loose_decimals(seconds(&text, 1_000, MAX_MICROS)) {
        None => pass.complain(format!("vrrp_startup_delay '{text}' is invalid")),
        Some(micros) => {
            pass.draft.global.startup_delay = Duration::from_micros(micros);
            if micros >= 60_000_000 {
                pass.log(format!(
                    "The vrrp_startup_delay is very large - {text} seconds"
                ));
            }
        }
    }
    Ok(())
}
