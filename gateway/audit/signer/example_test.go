package signer_test

import (
	"fmt"

	"jiragate/gateway/audit/signer"
)

func ExampleVerify() {
	// From a place that one trusts, such as the contract.
	const verifier = "jiragate/us+dd9ee1c0+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"

	// From wherever.
	const signed = `52.54.159.237

2600:1f18::1 – announced

— jiragate/us 3Z7hwNCyDju/lNCdVrzZdcmXWsvBuTN7cg024/QBBintvsTSyJyfeNSjC/BBl8nsgHd1zqRq0w/Kd6e7L59juBPkFgk=
`
	text, err := signer.Verify([]byte(signed), verifier)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(text))
	// Output:
	// 52.54.159.237
	//
	// 2600:1f18::1 – announced
}
