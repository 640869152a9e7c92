//! As what a service begins: limits, priority, mask, user. In the child, between fork and exec; nothing is allocated.

use rustix::{
    fs::Mode,
    io::{Errno, Result},
    process::{Gid, Resource, Rlimit, Uid, setpriority_process, setrlimit, umask},
    thread::{set_thread_gid, set_thread_groups, set_thread_uid},
};

use crate::{
    shim_format::attribute::{FURTHER, GROUP, LIMIT, MASK, MOST_GROUPS, NICE, USER},
    spawn::{Plan, Scratch},
};

/// In the order of `model::attributes::Resource::ALL`.
const RESOURCES: [Resource; 12] = [
    Resource::As,
    Resource::Core,
    Resource::Cpu,
    Resource::Data,
    Resource::Fsize,
    Resource::Memlock,
    Resource::Msgqueue,
    Resource::Nofile,
    Resource::Nproc,
    Resource::Rss,
    Resource::Sigpending,
    Resource::Stack,
];

/// What the payload says of it.
pub(crate) struct Attributes {
    user: Option<u32>,
    group: Option<u32>,
    further: [Gid; MOST_GROUPS],
    groups: usize,
    mask: Option<u32>,
    nice: Option<i32>,
    limits: [Option<Rlimit>; RESOURCES.len()],
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn small(text: &[u8]) -> Option<u32> {
    u32::try_from(number(text)?).ok()
}

impl Attributes {
    /// None where the payload is damaged.
    pub(crate) fn of(scratch: &Scratch, plan: &Plan) -> Option<Self> {
        let mut all = Self {
            user: None,
            group: None,
            further: [Gid::ROOT; MOST_GROUPS],
            groups: 0,
            mask: None,
            nice: None,
            limits: [None; RESOURCES.len()],
        };
        let (mut at, count) = plan.attributes;
        for _ in 0..count {
            let (letter, rest) = scratch.string(at).to_bytes().split_first()?;
            match *letter {
                USER => all.user = Some(small(rest)?),
                GROUP => all.group = Some(small(rest)?),
                FURTHER => {
                    *all.further.get_mut(all.groups)? = Gid::from_raw(small(rest)?);
                    all.groups += 1;
                }
                MASK => all.mask = Some(small(rest)?),
                NICE => all.nice = Some(i32::try_from(small(rest)?).ok()?.checked_sub(20)?),
                LIMIT => all.limit(rest)?,
                _ => return None,
            }
            at = scratch.next(at)?;
        }
        Some(all)
    }

    fn limit(&mut self, text: &[u8]) -> Option<()> {
        let mut fields = text.split(|byte| *byte == b':');
        let place = usize::try_from(number(fields.next()?)?).ok()?;
        let (soft, hard) = (fields.next()?, fields.next()?);
        let bound = |text: &[u8]| if text.is_empty() { Some(None) } else { number(text).map(Some) };
        *self.limits.get_mut(place)? = Some(Rlimit { current: bound(soft)?, maximum: bound(hard)? });
        Some(())
    }

    /// Limits, priority and mask: some of them need what a user who is not root may not have.
    pub(crate) fn set_limits(&self) -> Result<()> {
        for (resource, limit) in RESOURCES.into_iter().zip(&self.limits) {
            if let Some(limit) = limit {
                setrlimit(resource, *limit)?;
            }
        }
        if let Some(nice) = self.nice {
            setpriority_process(None, nice)?;
        }
        if let Some(mask) = self.mask {
            umask(Mode::from_raw_mode(mask));
        }
        Ok(())
    }

    /// The groups first: whoever is no longer root may not change them.
    pub(crate) fn become_user(&self) -> Result<()> {
        let Some(user) = self.user else { return Ok(()) };
        let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let group = self.group.unwrap_or(own.1);
        if own.0 != 0 && (user, group) == own {
            return Ok(());
        }
        set_thread_groups(self.further.get(..self.groups).ok_or(Errno::INVAL)?)?;
        set_thread_gid(Gid::from_raw(group))?;
        set_thread_uid(Uid::from_raw(user))
    }
}
