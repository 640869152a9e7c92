//! Certificates, as a real nginx 1.22 shows them; made by openssl.

use std::{fs, path::Path, process::Command};

use super::{
    super::rig::{Server, at, dir, figure, free_port, look, program, ready, until_ready},
    fake::{as_user, with},
    measure,
};
use cas::model::exam::{Protocol::Http, Reading, Target, Trouble};

fn openssl(dir: &Path, line: &str) {
    let done = Command::new(program("openssl", "openssl")).current_dir(dir).args(line.split(' ')).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
}

/// The sentences about TLS.
fn faults(reading: &Reading) -> Vec<&str> {
    reading.remarks.iter().filter(|remark| remark.check == "tls").map(|remark| remark.sentence.as_str()).collect()
}

/// Certificates of all manners, and a server of each.
const SERVED: [(&str, &str); 6] =
    [("own", "own"), ("other", "other"), ("alone", "leaf"), ("lonely", "leaf"), ("whole", "leaf"), ("old", "leaf")];

pub(in crate::kinds) fn make_certificates(path: &Path) {
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        path,
        &format!(
            "req -x509 {new} -keyout own.key -out own.pem -days 10 -subj /CN=own -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
        ),
    );
    openssl(
        path,
        &format!(
            "req -x509 {new} -keyout other.key -out other.pem -days 100 -subj /CN=other -addext subjectAltName=DNS:other.example,DNS:*.other.example"
        ),
    );
    openssl(path, &format!("req -x509 {new} -keyout ca.key -out ca.pem -days 100 -subj /CN=Acme-Root"));
    openssl(path, &format!("req {new} -keyout leaf.key -out leaf.csr -subj /CN=leaf"));
    let plain = "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n";
    fs::write(path.join("plain"), plain).unwrap();
    fs::write(path.join("public"), format!("{plain}authorityInfoAccess=caIssuers;URI:http://ca.example/ca.crt\n"))
        .unwrap();
    // A validity of -1 days ends before it begins: it is over.
    for (name, days, extensions) in [("alone", 50, "public"), ("lonely", 50, "plain"), ("old", -1, "plain")] {
        openssl(
            path,
            &format!(
                "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -out {name}.pem -extfile {extensions}"
            ),
        );
    }
    let whole = [fs::read(path.join("lonely.pem")).unwrap(), fs::read(path.join("ca.pem")).unwrap()].concat();
    fs::write(path.join("whole.pem"), whole).unwrap();
}

/// nginx with a port for each certificate, in the order of [`SERVED`], and one without TLS.
fn start() -> (Server, Vec<u16>) {
    let dir = dir();
    make_certificates(dir.path());
    let ports: Vec<u16> = (0..=SERVED.len()).map(|_| free_port()).collect();
    let plain = ports[SERVED.len()];
    let servers = SERVED.iter().zip(&ports).map(|((certificate, key), port)| {
        let version = if *certificate == "own" { 2 } else { 3 };
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.{version}; ssl_certificate {certificate}.pem; ssl_certificate_key {key}.key; return 200 $http_authorization; }}\n"
        )
    });
    let configuration = format!(
        "daemon off; error_log stderr; pid pid; worker_processes 1; events {{ }}\nhttp {{ access_log off; server {{ listen 127.0.0.1:{plain}; return 204; }}\n{} }}\n",
        servers.collect::<Vec<_>>().concat()
    );
    fs::write(dir.path().join("conf"), configuration).unwrap();
    let prefix = format!("{}/", dir.path().display());
    let server = Server::start(dir, plain, &program("nginx", "nginx-light"), &["-p", &prefix, "-c", "conf"]);
    until_ready(&server, Http, &server.target());
    (server, ports)
}

/// Which certificates are trusted is asked of the whole process, so this test runs itself again in one that trusts the authority.
#[test]
fn a_certificate_that_is_trusted_is_only_measured() {
    if let Ok(port) = std::env::var("CAS_TEST_TRUSTED_PORT") {
        let target = Target { tls: true, port: port.parse().unwrap(), ..at(0) };
        let target = as_user(&with(&target, "", &[("samples", "2")]), "me", "word");
        assert_eq!(ready(Http, &target), Ok(()));
        let reading = look(Http, &target).unwrap();
        assert!(reading.remarks.is_empty(), "{reading:?}");
        assert!(figure(&reading, "body") > 0.0, "the server sees who asks");
        assert!(figure(&reading, "certificate") > 49.0 * 86_400.0);
        return;
    }
    let (server, ports) = start();
    let this = module_path!().split_once("::").unwrap().1;
    let again = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{this}::a_certificate_that_is_trusted_is_only_measured")])
        .env("CAS_TEST_TRUSTED_PORT", ports[4].to_string())
        .env("SSL_CERT_FILE", server.dir.path().join("ca.pem"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn certificates_are_told_by_what_is_wrong_with_them() {
    let (server, ports) = start();
    let at = |number: usize| Target { tls: true, port: ports[number], ..server.target() };
    let seen = |number: usize| look(Http, &with(&at(number), "", &[("samples", "1")])).unwrap();

    let own = seen(0);
    assert_eq!(faults(&own), ["its certificate is self-signed: nobody else vouches for CN=own"]);
    let days = figure(&own, "certificate") / 86_400.0;
    assert!((9.9..=10.0).contains(&days), "{days}");
    let about = measure(&own, "certificate").about.clone();
    assert_eq!(about.as_deref(), Some("CN=own, signed by CN=own, TLS 1.2"));
    assert_eq!(own.server.as_deref(), Some("nginx 1.22.1"), "it is measured all the same");

    assert_eq!(
        faults(&seen(1)),
        [
            "its certificate has the wrong name: it is for other.example, *.other.example, and it was asked as 127.0.0.1",
            "its certificate is self-signed: nobody else vouches for CN=other"
        ]
    );
    let about = measure(&seen(1), "certificate").about.clone();
    assert_eq!(about.as_deref(), Some("CN=other, signed by CN=other, TLS 1.3"));
    let named = look(Http, &with(&at(1), "", &[("samples", "1"), ("tls-name", "www.other.example")])).unwrap();
    assert_eq!(faults(&named), ["its certificate is self-signed: nobody else vouches for CN=other"]);
    assert_eq!(
        faults(&seen(2)),
        ["its chain of certificates is incomplete: it does not send CN=Acme-Root, who signed CN=leaf"]
    );
    assert_eq!(
        faults(&seen(3)),
        ["its certificate has an unknown issuer: CN=Acme-Root is neither sent with it nor trusted by this machine"]
    );
    assert_eq!(
        faults(&seen(4)),
        ["its certificate has an unknown issuer: CN=Acme-Root is not trusted by this machine"]
    );
    let old = seen(5);
    assert!(faults(&old)[0].starts_with("its certificate expired 1d 0h ago (CN=leaf, until "), "{old:?}");
    assert!(figure(&old, "certificate") < -86_000.0);

    // Nothing secret goes to whom nobody knows: the page says what it was sent.
    let secret = look(Http, &as_user(&with(&at(0), "", &[("samples", "1")]), "me", "word")).unwrap();
    assert_eq!(figure(&secret, "body"), 0.0, "{secret:?}");
    assert!(faults(&secret).contains(&"it was asked without user and password, as it cannot be told who it is"));
    // And readiness takes nobody on trust.
    let refused = ready(Http, &at(0));
    assert!(matches!(&refused, Err(Trouble::Foreign(why)) if why.contains("certificate")), "{refused:?}");
    let plain = look(Http, &Target { tls: true, ..server.target() });
    assert_eq!(
        plain,
        Err(Trouble::Foreign(format!(
            "{} does not speak TLS; is it http:// and not https://?",
            server.target().place()
        )))
    );
    let address = look(Http, &with(&at(0), "", &[("tls-name", "10.0.0.1")]));
    assert!(matches!(&address, Err(Trouble::Refused(why)) if why.contains("tls-name=10.0.0.1")), "{address:?}");
}
