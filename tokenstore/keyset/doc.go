// Package keyset opens the master keyset, under which everything secret in the
// data directory is sealed, and adds and removes keys while it is in use.
//
// Start with [Open], which reads it from where JIRAGATE_KEY_URI says. A
// keyset is a Tink keyset of AES-256-GCM keys: one of them, the primary, seals;
// all of them open, so that what was sealed before a rotation ([Live.Rotate])
// stays readable. Each ciphertext begins with the id of its key, by which one
// finds out when a key can go ([Live.Drop]).
//
// # Several gateways
//
// Those that share a store have copies of one keyset. A key is added first, without sealing
// anything ([Live.Prepare]), and becomes the primary one ([Live.Promote]) when each of them
// has it. From then on it doesn't matter which of them learns of that when.
//
// # Key management services
//
// With aws-kms:, gcp-kms: and hcvault: the keyset lies in a file encrypted under
// one key of the service (Tink's encrypted keyset in JSON, associated data
// "jiragate keyset"). The service decrypts it when the gateway starts, and
// encrypts it when it is made or changed; in between it isn't needed. In the
// gateway's memory the keyset is in clear from start to end, as with file:.
// During the call the service sees the keyset in clear, over TLS, which is why an
// endpoint without TLS or without its verification is refused.
//
// Whoever has the file, or a backup of the whole data directory, but may not use
// the key of the service has ciphertext, and learns the ids, number and kind of
// the keys. Who may use the key of the service but doesn't have the file has
// nothing either. If the key of the service is destroyed, the store is lost. To
// take a key away from somebody who once could use it, disabling it at the
// service is not enough: they may have kept the keyset. Rotate, seal everything
// again and drop the old keys.
//
// The service's own rotation of its key changes nothing here: its ciphertexts
// say under which version they are.
//
// # Files
//
// A file is replaced atomically, and only if it still is what was read from it; a
// crash leaves the old one or the new one, and maybe a PATH.next that nothing
// reads and the next change removes.
//
// # Caveats
//
// In a file: or in the environment the keyset lies in clear, so whoever can read
// it can read the store. Keep it apart from backups of the store. Without it the
// store is lost. A file that is put back from a backup brings dropped keys back,
// and lacks the ones added since.
//
// The package knows nothing of what is sealed.
package keyset
