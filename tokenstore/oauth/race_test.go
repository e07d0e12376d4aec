//go:build race

package oauth

// underRace: the race detector makes everything several times slower.
const underRace = true
