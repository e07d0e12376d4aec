package admin

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"slices"

	"jiragate/tokenstore/keyset"
)

// rewrapBatch is how many records one request seals anew: few enough for one quick
// transaction, beside the calls that go on.
const rewrapBatch = 100

// Keyring is what the API needs of a keyset.Live.
type Keyring interface {
	Keys() []keyset.KeyInfo
	Prepare(ctx context.Context) (id uint32, err error)
	Promote(ctx context.Context) (primary uint32, err error)
	Rotate(ctx context.Context) (primary uint32, err error)
	Drop(ctx context.Context, ids ...uint32) error
}

// Key is a key of the keyset as the API shows it. Nothing in it is secret.
type Key struct {
	ID      uint32 `json:"id"`
	Primary bool   `json:"primary"` // it seals
	// Prepared: it opens, seals nothing yet, and is to be the primary key next.
	Prepared bool   `json:"prepared"`
	Status   string `json:"status"`
	Records  int    `json:"records"` // how many of the store are sealed under it
	CAKey    bool   `json:"ca_key"`  // that of the CA is, or that of its next root

	AuditKey bool `json:"audit_key"` // that which signs is

	PseudonymKey bool `json:"pseudonym_key"` // that of pseudonyms is
}

func (k *Key) inUse() bool { return k.Records > 0 || k.CAKey || k.AuditKey || k.PseudonymKey }

// KeyPrepared is the answer of preparing a key, which seals nothing yet.
type KeyPrepared struct {
	ID uint32 `json:"prepared"`
}

// Rotation asks for another primary key.
type Rotation struct {
	// AtOnce: where gateways share a store, too, a new key may be made primary that was not
	// prepared.
	AtOnce bool `json:"at_once,omitempty"`
}

// Rotated is the answer of a rotation: from now on the new key seals.
type Rotated struct {
	Primary uint32 `json:"primary"`
}

// Rewrapped is the answer of one batch. The caller asks again until none is left.
type Rewrapped struct {
	Left int `json:"left"` // records not under the primary key yet
	// CAKey: nothing is left, and the keys of CA, audit and pseudonyms are under the
	// primary key, too.
	CAKey bool `json:"ca_key"`
}

// DropKeys asks to remove the old keys.
type DropKeys struct {
	// AllGatewaysReloaded: each gateway that shares the store seals under the new primary key.
	// It must be true where gateways may share it, and is of no use elsewhere.
	AllGatewaysReloaded bool `json:"all_gateways_reloaded,omitempty"`
}

// Dropped lists the keys that are gone.
type Dropped struct {
	IDs []uint32 `json:"dropped"`
}

func noKeys() *Problem {
	return refuse(http.StatusServiceUnavailable, CodeUnavailable, "the keyset can't be looked at here")
}

func (a *API) withKeys(h handlerFunc) handlerFunc {
	if a.o.Keys != nil {
		return h
	}
	return func(http.ResponseWriter, *http.Request) error { return noKeys() }
}

func (a *API) listKeys(w http.ResponseWriter, r *http.Request) error {
	keys, err := a.keys(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, keys)
}

// keys are those of the keyset, the oldest first, with what is sealed under each.
func (a *API) keys(ctx context.Context) ([]Key, error) {
	keys := []Key{}
	for _, k := range a.o.Keys.Keys() {
		keys = append(keys, Key{ID: k.ID, Primary: k.Primary, Prepared: k.Prepared, Status: k.Status})
	}
	use, err := a.o.Store.KeyUse(ctx)
	if err != nil {
		return nil, err
	}
	ca, err := a.o.CA.SealedUnder()
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // there may be no CA yet
		return nil, err
	}
	audit, err := a.o.AuditKey.SealedUnder()
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // nor an audit key
		return nil, err
	}
	pseudonyms, err := a.o.Pseudonyms.SealedUnder()
	pseudonymised := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // nor pseudonyms
		return nil, err
	}
	for i := range keys {
		keys[i].PseudonymKey = pseudonymised && pseudonyms == keys[i].ID
		keys[i].AuditKey = slices.Contains(audit, keys[i].ID)
		keys[i].Records = use[keys[i].ID]
		keys[i].CAKey = slices.Contains(ca, keys[i].ID)
	}
	return keys, nil
}

// prepareKey adds a key that seals nothing before it is made primary.
func (a *API) prepareKey(_ http.ResponseWriter, _ *http.Request, t *task) (answer, error) {
	if a.o.Keys == nil {
		return answer{}, noKeys()
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	id, err := a.o.Keys.Prepare(ctx)
	if err != nil {
		return answer{}, keysetProblem(err)
	}
	a.o.Logger.InfoContext(ctx, "key prepared", "id", id)
	return answer{status: http.StatusOK, body: KeyPrepared{id}}, nil
}

// rotateKey makes the prepared key primary, or a new one. What is sealed under the old ones
// stays so until it is rewrapped.
func (a *API) rotateKey(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	if a.o.Keys == nil {
		return answer{}, noKeys()
	}
	var body Rotation
	if err := decodeOptional(w, r, &body); err != nil {
		return answer{}, err
	}
	rotate := a.o.Keys.Rotate
	if a.o.SharedStore && !body.AtOnce {
		rotate = a.o.Keys.Promote
		if !slices.ContainsFunc(a.o.Keys.Keys(), func(k keyset.KeyInfo) bool { return k.Prepared }) {
			return answer{}, notPrepared() // a refusal, rather than an act that fails
		}
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	primary, err := rotate(ctx)
	if err != nil {
		return answer{}, keysetProblem(err)
	}
	a.o.Logger.InfoContext(ctx, "keyset rotated", "primary", primary)
	return answer{status: http.StatusOK, body: Rotated{primary}}, nil
}

func notPrepared() *Problem {
	p := refuse(http.StatusConflict, CodeConflict, "no key is prepared, and other gateways that share the store could not open what is sealed under one that they don't have")
	p.Hint = "jiragate key rotate --prepare, copy the keyset to every gateway and jiragate reload there; then rotate again. With --at-once where this is the only gateway"
	return p
}

// rewrap seals one batch of records under the primary key, and after the last the
// keys of CA, audit and pseudonyms. It can stop anywhere and go on later.
func (a *API) rewrap(_ http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	if a.o.Keys == nil {
		return answer{}, noKeys()
	}
	if err := a.notBehind(r.Context()); err != nil {
		return answer{}, err
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	left, err := a.o.Store.Rewrap(ctx, rewrapBatch)
	if err != nil {
		return answer{}, err
	}
	if left > 0 {
		return answer{status: http.StatusOK, body: Rewrapped{Left: left}}, nil
	}
	if _, err := a.o.CA.Reseal(); err != nil && !errors.Is(err, fs.ErrNotExist) { // there may be no CA yet
		return answer{}, err
	}
	if _, err := a.o.AuditKey.Reseal(); err != nil && !errors.Is(err, fs.ErrNotExist) { // nor an audit key
		return answer{}, err
	}
	if _, err := a.o.Pseudonyms.Reseal(); err != nil && !errors.Is(err, fs.ErrNotExist) { // nor pseudonyms
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "everything is sealed under the primary key")
	return answer{status: http.StatusOK, body: Rewrapped{CAKey: true}}, nil
}

// notBehind refuses where another gateway seals under the key that is only prepared here:
// to seal anew under the old one what that has sealed would lead back.
func (a *API) notBehind(ctx context.Context) error {
	keys := a.o.Keys.Keys()
	if !a.o.SharedStore || !slices.ContainsFunc(keys, func(k keyset.KeyInfo) bool { return k.Prepared }) {
		return nil
	}
	use, err := a.o.Store.KeyUse(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.Prepared && use[k.ID] > 0 {
			p := refuse(http.StatusConflict, CodeConflict, "key %d is only prepared here, and another gateway seals under it already", k.ID)
			p.Hint = "jiragate key rotate makes it the primary key here, too; so does the keyset of that gateway, copied here, and jiragate reload"
			return p
		}
	}
	return nil
}

// dropKeys removes the keys that are neither the primary one nor prepared, if nothing is
// sealed under any of them. Nothing new comes to be: only the primary key seals. Of
// other gateways that can't be known here, so the caller has to say it.
func (a *API) dropKeys(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	if a.o.Keys == nil {
		return answer{}, noKeys()
	}
	var body DropKeys
	if err := decodeOptional(w, r, &body); err != nil {
		return answer{}, err
	}
	if a.o.SharedStore && !body.AllGatewaysReloaded {
		p := refuse(http.StatusConflict, CodeConflict, "a gateway that shares the store and still has the keyset from before the rotation would go on sealing under an old key, and nobody could open that without it")
		p.Hint = "copy the keyset to every gateway, jiragate reload and jiragate key rewrap there; then drop with --all-gateways-reloaded, on each"
		return answer{}, p
	}
	keys, err := a.keys(r.Context())
	if err != nil {
		return answer{}, err
	}
	old := slices.DeleteFunc(keys, func(k Key) bool { return k.Primary || k.Prepared })
	ids := []uint32{}
	for _, k := range old {
		if k.inUse() {
			p := refuse(http.StatusConflict, CodeConflict, "key %d is still in use: %d records, CA key: %t, audit key: %t, pseudonym key: %t",
				k.ID, k.Records, k.CAKey, k.AuditKey, k.PseudonymKey)
			p.Hint = "jiragate key rewrap seals everything under the primary key"
			return answer{}, p
		}
		ids = append(ids, k.ID)
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	if err := a.o.Keys.Drop(ctx, ids...); err != nil {
		return answer{}, keysetProblem(err)
	}
	a.o.Logger.InfoContext(ctx, "keys dropped", "count", len(ids))
	return answer{status: http.StatusOK, body: Dropped{ids}}, nil
}

func keysetProblem(err error) error {
	if errors.Is(err, keyset.ErrNotPrepared) {
		return notPrepared()
	}
	if errors.Is(err, keyset.ErrReadOnly) || errors.Is(err, keyset.ErrChanged) {
		return refuse(http.StatusConflict, CodeConflict, "%v", err)
	}
	return err
}
