// A foreign reader: JMRTD over javax.smartcardio. It opens the document on the reader with PACE or BAC, does chip and
// active authentication where the document has them, checks every hash of the security object and its signature, and
// prints one finding a line. An exception ends it with status 1.

import java.io.ByteArrayInputStream;
import java.math.BigInteger;
import java.security.*;
import java.util.*;
import javax.smartcardio.*;
import net.sf.scuba.smartcards.CardService;
import org.bouncycastle.asn1.*;
import org.jmrtd.*;
import org.jmrtd.lds.*;
import org.jmrtd.lds.icao.*;
import org.jmrtd.protocol.*;

public class ReadChip {
  static PassportService service;

  // pace|bac, then can DIGITS or mrz NUMBER BIRTH EXPIRY
  public static void main(String[] given) throws Exception {
    Security.insertProviderAt(new org.bouncycastle.jce.provider.BouncyCastleProvider(), 1);
    int most = Integer.getInteger("most", 256);
    service = new PassportService(CardService.getInstance(laid()), most, Math.min(most, 223), false, true);
    service.open();
    boolean can = given[1].equals("can");
    BACKey zone = can ? null : new BACKey(given[2], given[3], given[4]);
    boolean pace = given[0].equals("pace");
    if (pace) pace(can ? PACEKeySpec.createCANKey(given[2]) : zone);
    service.sendSelectApplet(pace);
    if (!pace) {
      service.doBAC(zone);
      System.out.println("opened BAC");
    }
    SODFile sod = new SODFile(new ByteArrayInputStream(read(PassportService.EF_SOD)));
    chipAuthentication(sod);
    hashes(sod);
    signature(sod);
    activeAuthentication(sod);
    service.close();
  }

  static CardTerminal laid() throws Exception {
    for (CardTerminal one : TerminalFactory.getDefault().terminals().list()) if (one.isCardPresent()) return one;
    throw new IllegalStateException("no document on any reader");
  }

  static byte[] read(short file) throws Exception {
    return service.getInputStream(file, Integer.getInteger("most", 256)).readAllBytes();
  }

  static void pace(AccessKeySpec key) throws Exception {
    CardAccessFile access = new CardAccessFile(service.getInputStream(PassportService.EF_CARD_ACCESS));
    PACEInfo info = access.getSecurityInfos().stream().filter(PACEInfo.class::isInstance).map(PACEInfo.class::cast).findFirst().get();
    BigInteger parameter = info.getParameterId();
    PACEResult done = service.doPACE(key, info.getObjectIdentifier(), PACEInfo.toParameterSpec(parameter), parameter);
    System.out.println("opened PACE " + done.getAgreementAlg() + " " + done.getMappingType() + " " + done.getCipherAlg() + " " + done.getKeyLength());
  }

  static void chipAuthentication(SODFile sod) throws Exception {
    if (!sod.getDataGroupHashes().containsKey(14)) return;
    ChipAuthenticationPublicKeyInfo key = null;
    ChipAuthenticationInfo way = null;
    for (SecurityInfo info : new DG14File(new ByteArrayInputStream(read(PassportService.EF_DG14))).getSecurityInfos()) {
      if (info instanceof ChipAuthenticationPublicKeyInfo found && found.getSubjectPublicKey() != null) key = found;
      if (info instanceof ChipAuthenticationInfo found) way = found;
    }
    if (key == null) return;
    service.doEACCA(key.getKeyId(), way == null ? null : way.getObjectIdentifier(), key.getObjectIdentifier(), key.getSubjectPublicKey());
    System.out.println("chip authentication " + (way == null ? "by the key alone" : way.getProtocolOIDString()));
  }

  static void hashes(SODFile sod) throws Exception {
    MessageDigest digest = MessageDigest.getInstance(sod.getDigestAlgorithm());
    for (Map.Entry<Integer, byte[]> one : sod.getDataGroupHashes().entrySet()) {
      boolean same = Arrays.equals(digest.digest(read((short) (0x0100 + one.getKey()))), one.getValue());
      System.out.println("group " + one.getKey() + " " + (same ? "as signed" : "ALTERED"));
    }
    System.out.println("number " + new DG1File(new ByteArrayInputStream(read(PassportService.EF_DG1))).getMRZInfo().getDocumentNumber());
  }

  static void signature(SODFile sod) throws Exception {
    Signature check = Signature.getInstance(sod.getDigestEncryptionAlgorithm());
    if (sod.getDigestEncryptionAlgorithmParams() != null) check.setParameter(sod.getDigestEncryptionAlgorithmParams());
    check.initVerify(sod.getDocSigningCertificate());
    check.update(sod.getEContent());
    System.out.println("signature " + (check.verify(sod.getEncryptedDigest()) ? "right" : "WRONG"));
  }

  static void activeAuthentication(SODFile sod) throws Exception {
    if (!sod.getDataGroupHashes().containsKey(15)) return;
    PublicKey key = new DG15File(new ByteArrayInputStream(read(PassportService.EF_DG15))).getPublicKey();
    byte[] challenge = new byte[8];
    new SecureRandom().nextBytes(challenge);
    byte[] answer = service.doAA(key, "SHA-256", key.getAlgorithm() + "withSHA256", challenge).getResponse();
    if (!key.getAlgorithm().startsWith("EC")) return; // ISO/IEC 9796-2 is not in this reader
    int half = answer.length / 2;
    ASN1EncodableVector numbers = new ASN1EncodableVector();
    numbers.add(new ASN1Integer(new BigInteger(1, Arrays.copyOf(answer, half))));
    numbers.add(new ASN1Integer(new BigInteger(1, Arrays.copyOfRange(answer, half, answer.length))));
    Signature check = Signature.getInstance("SHA256withECDSA");
    check.initVerify(key);
    check.update(challenge);
    System.out.println("active authentication " + (check.verify(new DERSequence(numbers).getEncoded()) ? "right" : "WRONG"));
  }
}
