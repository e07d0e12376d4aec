# Checkpoints of the audit logs, where those who run the gateways cannot rewrite them:
# the gateways may put, and nobody can remove for the time of the retention.

data "aws_partition" "current" {}

resource "aws_s3_bucket" "checkpoints" {
  bucket              = var.bucket
  object_lock_enabled = true

  lifecycle {
    prevent_destroy = true
  }
}

# Object Lock needs versions: what is put again under a name is a new one beside the old.
resource "aws_s3_bucket_versioning" "checkpoints" {
  bucket = aws_s3_bucket.checkpoints.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "checkpoints" {
  bucket = aws_s3_bucket.checkpoints.id

  rule {
    default_retention {
      mode = "COMPLIANCE"
      days = var.retention_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.checkpoints]
}

resource "aws_s3_bucket_public_access_block" "checkpoints" {
  bucket = aws_s3_bucket.checkpoints.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "checkpoints" {
  bucket = aws_s3_bucket.checkpoints.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for prefix, role in var.writers : {
        Sid       = "Put${title(prefix)}"
        Effect    = "Allow"
        Principal = { AWS = role }
        Action    = ["s3:PutObject"]
        Resource  = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/${prefix}/*"]
      }],
      [{
        Sid       = "OnlyTLS"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = ["s3:*"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:s3:::${var.bucket}",
          "arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/*",
        ]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
    )
  })

  depends_on = [aws_s3_bucket_public_access_block.checkpoints]
}
