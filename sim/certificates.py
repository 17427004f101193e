"""A certificate authority of our own, and a certificate for the loopback names."""

import ssl
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_FOR = timedelta(days=7)

Flaw = Literal["", "expired", "self-signed", "wrong host"]
FLAWS: tuple[Flaw, ...] = ("expired", "self-signed", "wrong host")


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: the authority's certificate for clients, chain and key for the server."""

    ca_file: Path
    chain_file: Path
    key_file: Path

    def server_context(self) -> ssl.SSLContext:
        """A context to serve with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain_file, self.key_file)
        return context

    def flawed(self, flaw: Flaw) -> Path:
        """Where a certificate with this flaw lies, together with its key."""
        return self.chain_file.with_name(f"{flaw.replace(' ', '-')}.pem")

    def flawed_context(self, flaw: Flaw) -> ssl.SSLContext:
        """A context to serve with such a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.flawed(flaw))
        return context


def make_certificates(directory: Path, flaw: Flaw = "", also: Collection[str] = ()) -> Certificates:
    """Write a fresh authority and a certificate for 127.0.0.1, ::1, localhost and ``also``.

    With a flaw the authority is still one to be trusted, so that nothing but the flaw is wrong.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = Certificates(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    authority = Authority(also)
    files.ca_file.write_bytes(authority.certificate)
    chain, key = authority.issue(flaw)
    files.chain_file.write_bytes(chain)
    files.key_file.touch(mode=0o600)
    files.key_file.write_bytes(key)
    for each in FLAWS:
        chain, key = authority.issue(each)
        flawed = files.flawed(each)
        flawed.touch(mode=0o600)
        flawed.write_bytes(chain + key)
    return files


class Authority:
    """Issues certificates for servers, right and flawed ones.

    Attributes:
        certificate: its own, PEM.
    """

    def __init__(self, also: Collection[str] = ()) -> None:
        self._also = tuple(also)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Simulated Authority")
        self._identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        own = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(self._identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = own.public_bytes(serialization.Encoding.PEM)

    def issue(self, flaw: Flaw = "") -> tuple[bytes, bytes]:
        """A certificate and its key, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        host = "mail.example.net" if flaw == "wrong host" else "localhost"
        own = flaw == "self-signed"
        leaf = (
            _builder(_name(host), _name(host) if own else self._name, key, flaw == "expired")
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                    x509.SubjectKeyIdentifier.from_public_key(key.public_key())
                    if own
                    else self._identifier
                ),
                critical=False,
            )
            .add_extension(_addresses(host, self._also), critical=False)
            .sign(key if own else self._key, hashes.SHA256())
        )
        return leaf.public_bytes(serialization.Encoding.PEM), key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def _addresses(host: str, also: Collection[str]) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    if host == "localhost":
        names += [x509.DNSName(each) for each in also]
        names += [x509.IPAddress(ip_address(each)) for each in ("127.0.0.1", "::1")]
    return x509.SubjectAlternativeName(names)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, expired: bool = False
) -> x509.CertificateBuilder:
    now = datetime.now(UTC) - (2 * VALID_FOR if expired else timedelta(0))
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID_FOR)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
