//! Users and groups by the text of `/etc/passwd` and `/etc/group`.

/// A user as a process becomes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub uid: u32,
    /// Its first group.
    pub gid: u32,
    /// Its other groups.
    pub groups: Vec<u32>,
    /// Its name; the number where it has none.
    pub name: String,
    /// Its home; `/` where it has none.
    pub home: String,
}

impl Account {
    /// Who is meant by `NAME`, `UID`, `NAME:GROUP` and so on, as compose has it. A number need not be in the files; then its group is 0.
    ///
    /// # Errors
    /// A sentence: there is no such user, or no such group.
    pub fn find(user: &str, passwd: &str, group: &str) -> Result<Self, String> {
        let (user, wanted_group) = match user.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (user, None),
        };
        let number: Option<u32> = user.parse().ok();
        let line = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| {
            fields.len() >= 6 && (fields[0] == user || (number.is_some() && fields[2].parse().ok() == number))
        });
        let mut account = match (line, number) {
            (Some(fields), _) => {
                let (Ok(uid), Ok(gid)) = (fields[2].parse(), fields[3].parse()) else {
                    return Err(format!("the line of \"{user}\" in /etc/passwd is damaged"));
                };
                Self { uid, gid, groups: Vec::new(), name: fields[0].to_owned(), home: fields[5].to_owned() }
            }
            (None, Some(uid)) => Self { uid, gid: 0, groups: Vec::new(), name: uid.to_string(), home: "/".to_owned() },
            (None, None) => return Err(format!("there is no user \"{user}\" on this machine")),
        };
        let groups: Vec<Vec<&str>> =
            group.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter(|fields| fields.len() >= 4).collect();
        if let Some(wanted) = wanted_group {
            let known = groups.iter().find(|fields| fields[0] == wanted).and_then(|fields| fields[2].parse().ok());
            account.gid = known
                .or_else(|| wanted.parse().ok())
                .ok_or_else(|| format!("there is no group \"{wanted}\" on this machine"))?;
        } else {
            let is_member = |fields: &&Vec<&str>| fields[3].split(',').any(|member| member == account.name);
            account.groups = groups.iter().filter(is_member).filter_map(|fields| fields[2].parse().ok()).collect();
        }
        Ok(account)
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1001::/home/ada:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nada:x:1001:\nvideo:x:44:ada,bob\n";

    #[test]
    fn a_user_is_meant_by_name_or_number_with_or_without_a_group() {
        let found = |user| Account::find(user, PASSWD, GROUP).map(|it| (it.uid, it.gid, it.groups, it.home));
        assert_eq!(found("ada"), Ok((1000, 1001, vec![44], "/home/ada".to_owned())));
        assert_eq!(found("1000"), found("ada"));
        assert_eq!(found("ada:video"), Ok((1000, 44, vec![], "/home/ada".to_owned())));
        assert_eq!(found("7:8"), Ok((7, 8, vec![], "/".to_owned())));
        assert_eq!(found("7"), Ok((7, 0, vec![], "/".to_owned())));
        assert_eq!(found("eve").unwrap_err(), "there is no user \"eve\" on this machine");
        assert_eq!(found("ada:eve").unwrap_err(), "there is no group \"eve\" on this machine");
    }
}
