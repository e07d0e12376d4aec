package offsite_test

import (
	"context"
	"fmt"
	"os"

	"jiragate/gateway/audit/offsite"
)

func Example() {
	places, err := offsite.ParsePlaces("stdout")
	if err != nil {
		fmt.Println(err)
		return
	}
	courier, err := offsite.New(offsite.Options{Places: places, Stdout: os.Stdout})
	if err != nil {
		fmt.Println(err)
		return
	}
	courier.Offer([]byte("jiragate/us\n2\nqg==\n\n— jiragate/us 3Z7hwNCyDju/\n"), 2)

	ctx, cancel := context.WithCancel(context.Background())
	cancel() // once the log is closed: the newest is still delivered
	courier.Run(ctx)
	// Output: {"msg":"audit checkpoint","origin":"jiragate/us","size":2,"note":"jiragate/us\n2\nqg==\n\n\u2014 jiragate/us 3Z7hwNCyDju/\n"}
}
