package main

import (
	"bytes"
	"encoding/pem"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// rootsPEM are the CA certificates of Mozilla's programme, as the Go project publishes
// them in a module. A CA that Mozilla trusts for certificates up to a date only is left
// out: the file has no place for the date, so who reads it would trust it without.
func rootsPEM() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return b.Bytes()
}
