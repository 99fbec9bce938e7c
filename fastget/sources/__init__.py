"""What a URL means: how each kind of store is asked for an object, and what its answers mean.

protocol              what the engine asks of a source
resolve               from the text of a URL to its source
neighbours            the same for one URL after another
http                  plain URLs
s3                    objects of S3 and its kin
lent                  one request, made ahead for another process

parameters            what a caller may say of the object
request_rules         what a store would refuse, told before
requests              fields that every request carries
getobject             the answer to GetObject, as the SDKs shape it
getobject_parameters  its keywords

endpoints             where a bucket is asked for, and by whom
settings              the options that decide about that
plain_routes          the answer where it is plain to see
accounts              who asks
signing               signatures
capture               botocore's requests, where it has to make them
failures              its exceptions, by meaning
aws_environment       what AWS's variables and files say
ca_bundles            which CAs they name
iam                   tokens of IBM Cloud
ibm_environment       what IBM's SDKs read

descriptions          the facts that a 200 declares
stores                which store has answered
refusals              errors by meaning
replies               the server's own words, safe to print
archives              whether an archived object can be read
corrections           what an answer says of the request itself
redirects             where one may lead
trails                where they have led
presigned             what a signed URL says of itself
links                 one that the caller renews
renewals              what one thread has anew for all

attributes            the parts of an object, as the store lists them
listing               what lies in a bucket, page by page
listing_pages         one page, read from its XML
listing_source        a bucket in the place of an object
"""
