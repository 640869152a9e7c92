//! Who is at the other end: the terminal of a process, for people. Never an authority: a number may belong to another process by now.

/// The terminal that a process has, such as `pts/3` or `tty1`; none where it has none or is gone. proc(5), field 7 of `stat`.
#[must_use]
pub fn terminal_of(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let number: i32 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(4)?.parse().ok()?;
    name(number.cast_unsigned())
}

/// A name by device number (Linux's devices.txt): minor in bits 0 to 7 and 20 to 31, major in bits 8 to 15 of field 7.
fn name(number: u32) -> Option<String> {
    let (major, minor) = ((number >> 8) & 0xff, (number & 0xff) | ((number >> 12) & 0xfff00));
    match major {
        136..=143 => Some(format!("pts/{}", (major - 136) * (1 << 20) + minor)),
        4 if minor < 64 => Some(format!("tty{minor}")),
        4 => Some(format!("ttyS{}", minor - 64)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_device_number_is_named_as_people_know_it() {
        let numbers = [(136 << 8) | 3, (136 << 8) | (1 << 20) | 0x2c, (4 << 8) | 1, (4 << 8) | 64, 0];
        let names = numbers.map(|number| name(number).unwrap_or_default());
        assert_eq!(names, ["pts/3", "pts/300", "tty1", "ttyS0", ""]);
    }
}
