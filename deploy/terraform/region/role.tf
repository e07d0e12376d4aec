# What the machine may do in AWS, and nothing else.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  secret_arns = [for arn in values(var.secrets) : arn if arn != null]

  release_object = startswith(var.release_url, "s3://") ? trimprefix(var.release_url, "s3://") : null

  statements = concat(
    [
      {
        Sid      = "Keyset"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:Encrypt"]
        Resource = [aws_kms_key.keyset.arn]
      },
      {
        Sid      = "Secrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = local.secret_arns
      },
      # What Session Manager needs; the managed policy for it would let the machine read
      # every parameter of the account besides.
      {
        Sid    = "SessionManager"
        Effect = "Allow"
        Action = [
          "ssm:UpdateInstanceInformation",
          "ssmmessages:CreateControlChannel",
          "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel",
          "ssmmessages:OpenDataChannel",
        ]
        Resource = ["*"]
      },
    ],
    local.release_object == null ? [] : [{
      Sid      = "Release"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = ["arn:${data.aws_partition.current.partition}:s3:::${local.release_object}"]
    }],
    var.checkpoints == null ? [] : [{
      Sid      = "Checkpoints"
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = ["arn:${data.aws_partition.current.partition}:s3:::${var.checkpoints.bucket}/${var.jira_region}/*"]
    }],
  )
}

resource "aws_iam_role" "gateway" {
  name = "${var.name}-gateway"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "gateway" {
  name = "gateway"
  role = aws_iam_role.gateway.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.statements
  })
}

resource "aws_iam_instance_profile" "gateway" {
  name = "${var.name}-gateway"
  role = aws_iam_role.gateway.name
}
