//! A certificate authority of the tests, made by openssl at the first use in each test process, and kept in memory only.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a server shows.
pub(crate) struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    /// The same as text, for servers that are programs.
    pub pem: (Vec<u8>, Vec<u8>),
}

/// Two authorities that know nothing of each other, and servers of the first.
pub(crate) struct Lab {
    /// The authority that a client of the tests trusts.
    pub authority: Vec<u8>,
    /// Another one.
    pub stranger: Vec<u8>,
    /// For `localhost` and `version.test`, 2020 to 2049.
    pub good: Identity,
    /// For `other.test` only.
    pub other_host: Identity,
    /// Until 2021-01-01.
    pub expired: Identity,
    /// From 2090-01-01.
    pub not_yet_valid: Identity,
    /// One that a person makes with `openssl req -x509`, for `localhost`: an authority's, which vouches for itself.
    pub of_an_authority: Identity,
}

/// The one lab of this process.
pub(crate) fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(make)
}

fn make() -> Lab {
    let directory = std::env::temp_dir().join(format!("teleport-upgrade-lab-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let at = |name: &str| std::fs::read(directory.join(name)).unwrap();
    for name in ["authority", "stranger"] {
        openssl(
            &directory,
            &format!(
                "req -x509 {KEY} -keyout {name}.key -out {name}.pem -days 36500 -subj /CN={name} -addext keyUsage=critical,keyCertSign"
            ),
        );
    }
    std::fs::write(directory.join("ca.cnf"), CONFIGURATION).unwrap();
    std::fs::write(directory.join("index"), "").unwrap();
    openssl(
        &directory,
        &format!(
            "req -x509 {KEY} -keyout self.key -out self.pem -days 36500 -subj /CN=self -addext subjectAltName=DNS:localhost"
        ),
    );
    let read = |name: &str| {
        let pem = (at(&format!("{name}.pem")), at(&format!("{name}.key")));
        let chain = CertificateDer::pem_slice_iter(&pem.0).collect::<Result<_, _>>().unwrap();
        Identity { chain, key: PrivateKeyDer::from_pem_slice(&pem.1).unwrap(), pem }
    };
    let identity = |name: &str, names: &str, from: &str, until: &str| {
        std::fs::write(directory.join("names"), format!("subjectAltName={names}\n")).unwrap();
        openssl(&directory, &format!("req -new {KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        openssl(
            &directory,
            &format!(
                "ca -batch -notext -config ca.cnf -in {name}.csr -out {name}.pem -startdate {from} -enddate {until} -extfile names"
            ),
        );
        read(name)
    };
    let here = "DNS:localhost,DNS:version.test";
    let lab = Lab {
        authority: at("authority.pem"),
        stranger: at("stranger.pem"),
        good: identity("good", here, "20200101000000Z", "20491231000000Z"),
        other_host: identity("other", "DNS:other.test", "20200101000000Z", "20491231000000Z"),
        expired: identity("expired", here, "20200101000000Z", "20210101000000Z"),
        not_yet_valid: identity("future", here, "20900101000000Z", "20991231000000Z"),
        of_an_authority: read("self"),
    };
    std::fs::remove_dir_all(&directory).unwrap();
    lab
}

fn openssl(directory: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(directory).stdin(Stdio::null());
    let output = command.output().expect("the TLS tests need the program openssl");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

const CONFIGURATION: &str = "
[ca]
default_ca = lab
[lab]
database = index
new_certs_dir = .
rand_serial = yes
certificate = authority.pem
private_key = authority.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
";
