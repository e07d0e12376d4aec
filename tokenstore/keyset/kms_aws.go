package keyset

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/config"
	awskmsapi "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/tink-crypto/tink-go-awskms/v3/integration/awskms"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// awsMaxPlaintext is what AWS KMS encrypts at once, in bytes.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
const awsMaxPlaintext = 4096

var awsKey = regexp.MustCompile(`^arn:aws[a-z0-9-]*:kms:([a-z0-9-]+):[0-9]{12}:(?:key/[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+)$`)

// awsService is AWS KMS. The AWS SDK finds credentials and endpoint as it always
// does: AWS_* variables, shared files, container and instance roles.
type awsService struct{ arn, region string }

func parseAWS(arn string) (service, error) {
	m := awsKey.FindStringSubmatch(arn)
	if m == nil {
		return nil, errors.New("the key URI names no AWS key: use aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID")
	}
	return awsService{arn: arn, region: m[1]}, nil
}

func (s awsService) connect(ctx context.Context) (tink.AEADWithContext, func(), error) {
	c, err := config.LoadDefaultConfig(ctx, config.WithRegion(s.region), config.WithLogger(logging.Nop{}))
	if err != nil {
		// Without the cause, which may quote a file or a variable.
		return nil, nil, known("the AWS configuration in the environment or in the shared files can't be used")
	}
	// Asked for here, because within a call their absence looks like any failure.
	if _, err := c.Credentials.Retrieve(ctx); err != nil && ctx.Err() == nil {
		return nil, nil, known("there are no AWS credentials")
	}
	client := awskmsapi.NewFromConfig(c, func(o *awskmsapi.Options) { o.HTTPClient = awsHTTP{o.HTTPClient} })
	a, err := awskms.NewAEADWithContext(ctx, s.arn, awskms.WithKMS(client))
	return awsAEAD{a}, func() {}, err
}

// awsAEAD says why a keyset is refused that AWS would refuse as invalid.
type awsAEAD struct{ tink.AEADWithContext }

func (a awsAEAD) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	if len(plaintext) > awsMaxPlaintext {
		return nil, known(fmt.Sprintf("the keyset has too many keys: it takes %d bytes, and AWS KMS encrypts %d; drop old keys first", len(plaintext), awsMaxPlaintext))
	}
	return a.AEADWithContext.EncryptWithContext(ctx, plaintext, associatedData)
}

type awsHTTP struct{ base awskmsapi.HTTPClient }

func (c awsHTTP) Do(req *http.Request) (*http.Response, error) { return bounded(req, c.base.Do) }

func (awsService) access() string {
	return "check the key's region and state, the AWS_* variables (or the role of this machine), and that its policy allows kms:Encrypt and kms:Decrypt"
}

// awsErrors are the codes of Encrypt and Decrypt, and those common to all of AWS:
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html#API_Decrypt_Errors
// https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
var awsErrors = map[string]string{
	"AccessDeniedException":       "access is denied",
	"NotAuthorized":               "access is denied",
	"DependencyTimeoutException":  "the service is out of order",
	"DisabledException":           "the key is disabled",
	"ExpiredTokenException":       "the credentials have expired",
	"IncompleteSignature":         "the credentials are not accepted",
	"IncorrectKeyException":       "the keyset is encrypted under another key",
	"InternalFailure":             "the service is out of order",
	"InvalidCiphertextException":  "the encrypted keyset was changed, or is encrypted under another key or for something else",
	"InvalidClientTokenId":        "the credentials are not accepted",
	"InvalidKeyUsageException":    "the key is not one for encryption",
	"InvalidSignatureException":   "the credentials are not accepted, or the clock of this machine is wrong",
	"KeyUnavailableException":     "the key is not available now",
	"KMSInternalException":        "the service is out of order",
	"KMSInvalidStateException":    "the key is in a state that forbids its use, such as pending deletion",
	"NotFoundException":           "there is no such key",
	"RequestExpired":              "the clock of this machine is wrong",
	"ServiceUnavailable":          "the service is out of order",
	"ThrottlingException":         "there are too many requests",
	"UnrecognizedClientException": "the credentials are not accepted",
}

func (awsService) explain(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if words, ok := awsErrors[api.ErrorCode()]; ok {
			return fmt.Sprintf("%s (%s)", words, api.ErrorCode())
		}
	}
	if resp, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return statusWords(resp.HTTPStatusCode())
	}
	return ""
}
