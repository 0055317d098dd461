//! Cipher suites: keys from secrets, records from their encryption (RFC 5246, RFC 8446).

use aes::{Aes128, Aes256};
use aes_gcm::aead::array::typenum::Unsigned;
use aes_gcm::aead::consts::{U8, U12, U16};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, InnerIvInit};
use ccm::Ccm;
use chacha20poly1305::ChaCha20Poly1305;
use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha384};

use super::keylog::Writer;

/// How a suite encrypts.
#[derive(Clone, Copy, Debug)]
struct Bulk {
    /// Bytes of its key.
    key: usize,
    /// Bytes of the part of the nonce that is derived with the key, in TLS 1.2.
    salt: usize,
    /// Takes a key of that length.
    with_key: fn(&[u8]) -> Option<Box<dyn Keyed>>,
}

const AES_128_GCM: Bulk = aead::<Aes128Gcm>(16, 4);
const AES_256_GCM: Bulk = aead::<Aes256Gcm>(32, 4);
const CHACHA20_POLY1305: Bulk = aead::<ChaCha20Poly1305>(32, 12);
const AES_128_CCM: Bulk = aead::<Ccm<Aes128, U16, U12>>(16, 4);
const AES_256_CCM: Bulk = aead::<Ccm<Aes256, U16, U12>>(32, 4);
/// With a tag of 8 bytes.
const AES_128_CCM_8: Bulk = aead::<Ccm<Aes128, U8, U12>>(16, 4);
const AES_256_CCM_8: Bulk = aead::<Ccm<Aes256, U8, U12>>(32, 4);
const AES_128_CBC: Bulk = cbc::<Aes128>(16);
const AES_256_CBC: Bulk = cbc::<Aes256>(32);

const fn aead<A: AeadInOut<NonceSize = U12> + KeyInit + 'static>(key: usize, salt: usize) -> Bulk {
    Bulk {
        key,
        salt,
        with_key: |key| Some(Box::new(Aead(A::new_from_slice(key).ok()?))),
    }
}

const fn cbc<C: BlockCipherDecrypt<BlockSize = U16> + KeyInit + Clone + 'static>(
    key: usize,
) -> Bulk {
    Bulk {
        key,
        salt: 0,
        with_key: |key| Some(Box::new(Cbc(C::new_from_slice(key).ok()?))),
    }
}

/// A cipher with its key.
trait Keyed {
    /// Bytes of the tag by which it is authenticated, 0 where it is not.
    fn tag(&self) -> usize;

    /// Decrypts `bytes`, the tag at their end.
    fn open(&self, nonce: &[u8], about: &[u8], bytes: &mut Vec<u8>) -> Option<()>;
}

struct Aead<A>(A);

impl<A: AeadInOut<NonceSize = U12>> Keyed for Aead<A> {
    fn tag(&self) -> usize {
        A::TagSize::USIZE
    }

    fn open(&self, nonce: &[u8], about: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
        let nonce = nonce.try_into().ok()?;
        self.0.decrypt_in_place(nonce, about, bytes).ok()
    }
}

struct Cbc<C>(C);

impl<C: BlockCipherDecrypt<BlockSize = U16> + Clone> Keyed for Cbc<C> {
    fn tag(&self) -> usize {
        0
    }

    fn open(&self, iv: &[u8], _: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
        let mut cbc = ::cbc::Decryptor::inner_iv_init(self.0.clone(), iv.try_into().ok()?);
        let (blocks, []) = bytes.as_chunks_mut::<16>() else {
            return None;
        };
        for block in blocks {
            cbc.decrypt_block(block.into());
        }
        Some(())
    }
}

/// The HMAC by whose hash a suite's keys are derived: of several parts, with a key.
type Hash = fn(&[u8], &[&[u8]]) -> Vec<u8>;
const SHA_256: Hash = hmac::<Hmac<Sha256>>;
const SHA_384: Hash = hmac::<Hmac<Sha384>>;

fn hmac<M: Mac + hmac::KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // A key of any length is taken.
    let Ok(mut mac) = <M as hmac::KeyInit>::new_from_slice(key) else {
        return Vec::new();
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// A cipher suite, as far as decryption needs to know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suite {
    bulk: Bulk,
    hash: Hash,
    /// Bytes of the MAC, where the encryption is not authenticated by itself.
    mac: usize,
}

/// The suite of a number (IANA, TLS Cipher Suites), where it can be decrypted.
pub(super) fn suite(number: u16) -> Option<Suite> {
    // Of a pair, the even number has keys of 128 bits.
    let (gcm, gcm_hash, ccm, ccm_8) = if number.is_multiple_of(2) {
        (AES_128_GCM, SHA_256, AES_128_CCM, AES_128_CCM_8)
    } else {
        (AES_256_GCM, SHA_384, AES_256_CCM, AES_256_CCM_8)
    };
    let (bulk, hash, mac) =
        match number {
            0x1301 => (AES_128_GCM, SHA_256, 0),
            0x1302 => (AES_256_GCM, SHA_384, 0),
            0x1303 => (CHACHA20_POLY1305, SHA_256, 0),
            0x1304 => (AES_128_CCM, SHA_256, 0),
            0x1305 => (AES_128_CCM_8, SHA_256, 0),
            // RFC 5288, RFC 5487.
            0x009c..=0x00a3 | 0x00a8..=0x00ad => (gcm, gcm_hash, 0),
            // RFC 5289, RFC 8442.
            0xc02b | 0xc02d | 0xc02f | 0xc031 | 0xd001 => (AES_128_GCM, SHA_256, 0),
            0xc02c | 0xc02e | 0xc030 | 0xc032 | 0xd002 => (AES_256_GCM, SHA_384, 0),
            // RFC 6655, RFC 7251.
            0xc09c..=0xc09f | 0xc0a4..=0xc0a7 | 0xc0ac | 0xc0ad => (ccm, SHA_256, 0),
            0xc0a0..=0xc0a3 | 0xc0a8..=0xc0ab | 0xc0ae | 0xc0af => (ccm_8, SHA_256, 0),
            // RFC 7905.
            0xcca8..=0xccae => (CHACHA20_POLY1305, SHA_256, 0),
            // RFC 5246, RFC 4492, RFC 4279, RFC 5489.
            0x002f | 0x0033 | 0x008c | 0x0090 | 0x0094 | 0xc004 | 0xc009 | 0xc00e | 0xc013
            | 0xc035 => (AES_128_CBC, SHA_256, 20),
            0x0035 | 0x0039 | 0x008d | 0x0091 | 0x0095 | 0xc005 | 0xc00a | 0xc00f | 0xc014
            | 0xc036 => (AES_256_CBC, SHA_256, 20),
            0x003c | 0x0067 | 0x00ae | 0x00b2 | 0x00b6 | 0xc023 | 0xc025 | 0xc027 | 0xc029
            | 0xc037 => (AES_128_CBC, SHA_256, 32),
            0x003d | 0x006b => (AES_256_CBC, SHA_256, 32),
            0x00af | 0x00b3 | 0x00b7 | 0xc024 | 0xc026 | 0xc028 | 0xc02a | 0xc038 => {
                (AES_256_CBC, SHA_384, 48)
            }
            _ => return None,
        };
    Some(Suite { bulk, hash, mac })
}

/// Decrypts the records of one end.
pub(super) struct Cipher {
    bulk: Box<dyn Keyed>,
    /// The nonce's own part.
    iv: Vec<u8>,
    mac: usize,
    form: Form,
}

/// How records are laid out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    /// RFC 8446 §5.2.
    Tls13,
    /// RFC 5246 §6.2.3.
    Tls12 { encrypt_then_mac: bool },
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cipher")
    }
}

impl Cipher {
    /// The keys of TLS 1.3 that follow from a traffic secret (RFC 8446 §7.3).
    pub(super) fn of_secret(suite: Suite, secret: &[u8]) -> Option<Self> {
        let key = expand_label(suite.hash, secret, "key", suite.bulk.key);
        Some(Self {
            bulk: (suite.bulk.with_key)(&key)?,
            iv: expand_label(suite.hash, secret, "iv", 12),
            mac: 0,
            form: Form::Tls13,
        })
    }

    /// One end's keys of TLS 1.2 that follow from the master secret (RFC 5246 §6.3).
    pub(super) fn of_master(
        suite: Suite,
        master: &[u8],
        randoms: (&[u8; 32], &[u8; 32]),
        writer: Writer,
        encrypt_then_mac: bool,
    ) -> Option<Self> {
        let (key, salt, mac) = (suite.bulk.key, suite.bulk.salt, suite.mac);
        let (client, server) = randoms;
        let seed = [b"key expansion", &server[..], &client[..]].concat();
        let block = expand(suite.hash, master, &seed, 2 * (mac + key + salt));
        let (keys, salts) = (2 * mac, 2 * (mac + key));
        let second = usize::from(writer == Writer::Server);
        let (key_at, salt_at) = (keys + second * key, salts + second * salt);
        Some(Self {
            bulk: (suite.bulk.with_key)(block.get(key_at..key_at + key)?)?,
            iv: block.get(salt_at..salt_at + salt)?.to_vec(),
            mac,
            form: Form::Tls12 {
                encrypt_then_mac: encrypt_then_mac && mac > 0,
            },
        })
    }

    /// Whether a record shows by itself that it was decrypted with the right key and number.
    pub(super) fn is_authenticated(&self) -> bool {
        self.bulk.tag() > 0
    }

    /// Decrypts the `number`th record of its keys: 5 bytes of header, then its fragment. What it
    /// holds goes to `out`; its content type. `None` where it does not fit.
    pub(super) fn open(&self, number: u64, record: &[u8], out: &mut Vec<u8>) -> Option<u8> {
        let (header, fragment) = record.split_first_chunk::<5>()?;
        out.clear();
        match self.form {
            Form::Tls13 => {
                out.extend_from_slice(fragment);
                self.bulk.open(&self.nonce(number)?, header, out)?;
                // The content type is the last byte that is not padding.
                while out.last() == Some(&0) {
                    out.pop();
                }
                out.pop()
            }
            Form::Tls12 { encrypt_then_mac } if self.mac > 0 => {
                self.open_cbc(fragment, encrypt_then_mac, out)?;
                Some(header[0])
            }
            Form::Tls12 { .. } => {
                let nonce = if self.iv.len() == 12 {
                    out.extend_from_slice(fragment);
                    self.nonce(number)?
                } else {
                    let (explicit, sealed) = fragment.split_first_chunk::<8>()?;
                    out.extend_from_slice(sealed);
                    [&self.iv[..], explicit].concat().try_into().ok()?
                };
                let length = u16::try_from(out.len().checked_sub(self.bulk.tag())?).ok()?;
                let about = [
                    &number.to_be_bytes()[..],
                    header.get(..3)?,
                    &length.to_be_bytes(),
                ];
                self.bulk.open(&nonce, &about.concat(), out)?;
                Some(header[0])
            }
        }
    }

    /// The IV with the record's number in its last bytes (RFC 8446 §5.3, RFC 7905 §2).
    fn nonce(&self, number: u64) -> Option<[u8; 12]> {
        let mut nonce: [u8; 12] = self.iv.as_slice().try_into().ok()?;
        for (byte, number) in nonce.iter_mut().skip(4).zip(number.to_be_bytes()) {
            *byte ^= number;
        }
        Some(nonce)
    }

    /// RFC 5246 §6.2.3.2; with RFC 7366 the MAC stands outside. It is not verified: that would
    /// take a hash for each suite, and a wrong key shows in the padding.
    fn open_cbc(&self, fragment: &[u8], mac_outside: bool, out: &mut Vec<u8>) -> Option<()> {
        let (iv, rest) = fragment.split_first_chunk::<16>()?;
        let sealed = if mac_outside {
            rest.get(..rest.len().checked_sub(self.mac)?)?
        } else {
            rest
        };
        out.extend_from_slice(sealed);
        self.bulk.open(iv, &[], out)?;
        let padding = *out.last()?;
        let whole = out.len().checked_sub(usize::from(padding) + 1)?;
        if out.get(whole..)?.iter().any(|byte| *byte != padding) {
            return None;
        }
        let content = if mac_outside {
            whole
        } else {
            whole.checked_sub(self.mac)?
        };
        out.truncate(content);
        Some(())
    }
}

/// The secret that follows a traffic secret after KeyUpdate (RFC 8446 §7.2).
pub(super) fn next_secret(suite: Suite, secret: &[u8]) -> Vec<u8> {
    expand_label(suite.hash, secret, "traffic upd", secret.len())
}

/// HKDF-Expand-Label with an empty context, for at most as many bytes as the hash has.
fn expand_label(hash: Hash, secret: &[u8], label: &str, length: usize) -> Vec<u8> {
    let length_bytes = u16::try_from(length).unwrap_or(0).to_be_bytes();
    let label_length = u8::try_from(6 + label.len()).unwrap_or(0);
    let parts: [&[u8]; 6] = [
        &length_bytes,
        &[label_length],
        b"tls13 ",
        label.as_bytes(),
        // No context; the counter of HKDF-Expand (RFC 5869 §2.3).
        &[0],
        &[1],
    ];
    let mut out = hash(secret, &parts);
    out.truncate(length);
    out
}

/// The PRF of TLS 1.2 (RFC 5246 §5).
fn expand(hash: Hash, secret: &[u8], seed: &[u8], length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 48);
    let mut a = hash(secret, &[seed]);
    while out.len() < length {
        out.extend(hash(secret, &[&a, seed]));
        a = hash(secret, &[&a]);
    }
    out.truncate(length);
    out
}

#[cfg(test)]
pub(super) mod testing {
    use super::{SHA_256, expand_label};

    /// Key and IV of AES-128-GCM that follow from a traffic secret.
    pub(in super::super) fn keys(secret: &[u8]) -> ([u8; 16], [u8; 12]) {
        let of = |label, length| expand_label(SHA_256, secret, label, length);
        let (key, iv) = (of("key", 16), of("iv", 12));
        (key.try_into().unwrap(), iv.try_into().unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_from_secrets_as_rfc_8448_has_them() {
        // §3, "{server} derive write traffic keys for handshake data".
        let secret: Vec<u8> = (0..32)
            .map(|at| {
                let digits = "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38";
                u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()
            })
            .collect();
        let (key, iv) = testing::keys(&secret);
        assert_eq!(
            u128::from_be_bytes(key),
            0x3fce_5160_09c2_1727_d0f2_e4e8_6ee4_03bc
        );
        assert_eq!(iv[..4], [0x5d, 0x31, 0x3e, 0xb2]);
        assert_eq!(iv[4..], [0x67, 0x12, 0x76, 0xee, 0x13, 0, 0x0b, 0x30]);
    }

    #[test]
    fn every_suite_has_keys_of_its_own_length() {
        let mut known = 0;
        for number in 0..=u16::MAX {
            let Some(suite) = suite(number) else { continue };
            known += 1;
            let randoms = (&[1; 32], &[2; 32]);
            let made = if number >> 8 == 0x13 {
                Cipher::of_secret(suite, &[3; 48])
            } else {
                Cipher::of_master(suite, &[3; 48], randoms, Writer::Client, false)
            };
            assert!(made.is_some(), "{number:04x}");
        }
        assert_eq!(known, 96);
    }
}
