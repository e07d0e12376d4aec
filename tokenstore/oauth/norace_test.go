//go:build !race

package oauth

// underRace: see race_test.go.
const underRace = false
